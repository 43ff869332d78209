/* SPDX-License-Identifier: MIT */

/*
 * mkstemp(3) and mkdtemp(3) for programs that have nowhere to keep a handle: the same template,
 * and the thing is the process's. Their handles are loose from the start; tempfile_find() gives
 * one to who wants to keep, persist or close it after all.
 */

#include "libclient/libtempfile.h"

#include "libclient/handle.h"
#include "libclient/util.h"
#include "libclient/wire.h"

/* The directory and the pattern of a template; *ret_dir is to be freed. */
static int split(const char *template, char **ret_dir, const char **ret_pattern)
{
        const char *slash = strrchr(template, '/');

        *ret_pattern = slash ? slash + 1 : template;
        if (!slash)
                *ret_dir = strdup(".");
        else
                *ret_dir = strndup(template, MAX((size_t) (slash - template), (size_t) 1));
        return *ret_dir ? 0 : -ENOMEM;
}

/* The name has as many bytes as the pattern. */
static int make(char *template, uint8_t kind, struct tempfile **ret)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        _cleanup_(freep) char *dir = NULL;
        const char *pattern;
        struct tempfile *t;
        int r;

        if (!template)
                return -EINVAL;
        r = split(template, &dir, &pattern);
        if (r < 0)
                return r;
        o.dir = dir;
        o.pattern = pattern;
        r = kind == WIRE_KIND_FILE ? tempfile_named(&o, &t) : tempfile_directory(&o, &t);
        if (r < 0)
                return r;
        memcpy(template + (pattern - template), handle_name(t), strlen(pattern));
        *ret = t;
        return 0;
}

_public_ int tempfile_mkstemp(char *template)
{
        struct tempfile *t;
        int r, fd;

        r = make(template, WIRE_KIND_FILE, &t);
        if (r < 0)
                return r;
        fd = TAKE_FD(t->fd);
        (void) tempfile_release(t); /* can't fail */
        return fd;
}

_public_ int tempfile_mkdtemp(char *template)
{
        struct tempfile *t;
        int r;

        r = make(template, WIRE_KIND_DIRECTORY, &t);
        return r < 0 ? r : tempfile_release(t);
}
