/* SPDX-License-Identifier: MIT */

/*
 * Making things in a temporary directory, the arena, that nobody is told of: the directory is
 * registered, and what lies in it goes with it. So they cost what open(2) and mkdir(2) cost.
 */

#include "libclient/libtempfile.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "libclient/create.h"
#include "libclient/handle.h"
#include "libclient/util.h"
#include "libclient/wire.h"

#define ATTEMPTS 100U
#define RANDOM_CHARS 10U /* from 64 bits: nobody else draws in here */

static int draw_name(const struct recipe *r, char name[NAME_LEN_MAX + 1])
{
        uint64_t random;

        while (getrandom(&random, sizeof(random), 0) != sizeof(random))
                if (errno != EINTR)
                        return -errno;
        memcpy(name, r->prefix, r->prefix_len);
        name_encode(random, name + r->prefix_len, RANDOM_CHARS);
        memcpy(name + r->prefix_len + RANDOM_CHARS, r->suffix, r->suffix_len + 1);
        return 0;
}

/* What would need somebody to be told is not for arenas. */
static int read_recipe(const struct tempfile_options *options, uint8_t kind, struct recipe *ret)
{
        int r;

        r = recipe_read(options, kind, ret);
        if (r < 0)
                return r;
        return ret->is_own && ret->retain_sec == 0 && ret->random_len == 0 && !ret->dir ? 0
                                                                                        : -EINVAL;
}

static int make(const struct tempfile *arena, const struct tempfile_options *options, uint8_t kind,
                char ret_name[TEMPFILE_NAME_SIZE])
{
        char name[NAME_LEN_MAX + 1];
        struct recipe recipe;
        bool is_left; /* goes with the arena */
        int r, fd = -1;

        if (!arena || arena->fd < 0 || arena->entry.kind != WIRE_KIND_DIRECTORY)
                return -EINVAL;
        r = read_recipe(options, kind, &recipe);
        if (r < 0)
                return r;
        for (unsigned int i = 0; i < ATTEMPTS; i++) {
                r = draw_name(&recipe, name);
                if (r == 0 && kind == WIRE_KIND_DIRECTORY)
                        r = create_directory(arena->fd, name, recipe.mode, &fd, &is_left);
                else if (r == 0)
                        r = create_file(arena->fd, name, recipe.mode, &fd, &is_left);
                if (r != -EEXIST)
                        break;
        }
        if (r < 0)
                return r;
        if (ret_name)
                (void) strcpy(ret_name, name);
        return fd;
}

_public_ int tempfile_arena_named(const struct tempfile *arena,
                                  const struct tempfile_options *options,
                                  char ret_name[TEMPFILE_NAME_SIZE])
{
        return make(arena, options, WIRE_KIND_FILE, ret_name);
}

_public_ int tempfile_arena_directory(const struct tempfile *arena,
                                      const struct tempfile_options *options,
                                      char ret_name[TEMPFILE_NAME_SIZE])
{
        return make(arena, options, WIRE_KIND_DIRECTORY, ret_name);
}
