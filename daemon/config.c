/* SPDX-License-Identifier: MIT */

/*
 * Owns the table of keys and the syntax around them: sections, "key = value", comments. The default
 * of a key is text like any other value, and is read as such. Files are found as the service
 * manager's own: the first tempfiled.conf, and on top of it the drop-ins of all directories in the
 * order of their names, where of two with one name the one in the earlier directory counts.
 */

#include "daemon/config.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "libclient/util.h"

#define VALUE_MAX 64U
#define SUFFIX ".conf"

/* ---- values ---- */

struct type {
        bool (*parse)(const char *text, void *ret);
        void (*print)(const void *value, char buf[VALUE_MAX]);
        const char *wanted;
};

static const struct unit {
        const char *name;
        uint64_t usec;
} units[] = {
        /* What nothing is said of is seconds; the others from the largest, for printing. */
        { "", USEC_PER_SEC },          { "w", 7 * 86400 * USEC_PER_SEC },
        { "d", 86400 * USEC_PER_SEC }, { "h", 3600 * USEC_PER_SEC },
        { "min", 60 * USEC_PER_SEC },  { "s", USEC_PER_SEC },
        { "ms", USEC_PER_MSEC },
};

static bool parse_number(const char **at, uint64_t *ret)
{
        char *end;

        if (**at < '0' || **at > '9')
                return false;
        errno = 0;
        *ret = strtoull(*at, &end, 10);
        *at = end;
        return errno == 0;
}

static bool parse_unit(const char **at, uint64_t *ret)
{
        size_t len = strspn(*at, "abcdefghijklmnopqrstuvwxyz");

        for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
                if (strlen(units[i].name) != len || strncmp(*at, units[i].name, len) != 0)
                        continue;
                *at += len;
                *ret = units[i].usec;
                return true;
        }
        return false;
}

/* "90", "1h 30min": numbers with units, one after the other. */
static bool parse_span(const char *text, void *ret)
{
        uint64_t sum = 0, n, unit;

        if (streq(text, "infinity")) {
                *(uint64_t *) ret = UINT64_MAX;
                return true;
        }
        do {
                if (!parse_number(&text, &n))
                        return false;
                text += strspn(text, " \t");
                if (!parse_unit(&text, &unit) || __builtin_mul_overflow(n, unit, &n) ||
                    __builtin_add_overflow(sum, n, &sum))
                        return false;
                text += strspn(text, " \t");
        } while (*text);
        *(uint64_t *) ret = sum;
        return sum < UINT64_MAX;
}

static void print_span(const void *value, char buf[VALUE_MAX])
{
        uint64_t usec = *(const uint64_t *) value;

        if (usec == UINT64_MAX) {
                (void) snprintf(buf, VALUE_MAX, "infinity");
                return;
        }
        for (size_t i = 1; i < ARRAY_SIZE(units); i++)
                if (usec % units[i].usec == 0 && (usec > 0 || units[i].usec == USEC_PER_SEC)) {
                        (void) snprintf(buf, VALUE_MAX, "%" PRIu64 "%s", usec / units[i].usec,
                                        units[i].name);
                        return;
                }
}

static bool parse_durability(const char *text, void *ret)
{
        if (!streq(text, "power") && !streq(text, "crash"))
                return false;
        *(bool *) ret = streq(text, "power");
        return true;
}

static void print_durability(const void *value, char buf[VALUE_MAX])
{
        (void) snprintf(buf, VALUE_MAX, "%s", *(const bool *) value ? "power" : "crash");
}

static bool parse_count(const char *text, void *ret)
{
        uint64_t n;

        if (streq(text, "infinity"))
                n = UINT64_MAX;
        else if (!parse_number(&text, &n) || *text || n == UINT64_MAX)
                return false;
        *(uint64_t *) ret = n;
        return true;
}

static void print_count(const void *value, char buf[VALUE_MAX])
{
        uint64_t n = *(const uint64_t *) value;

        if (n == UINT64_MAX)
                (void) snprintf(buf, VALUE_MAX, "infinity");
        else
                (void) snprintf(buf, VALUE_MAX, "%" PRIu64, n);
}

static const struct type durability = { parse_durability, print_durability, "'power' or 'crash'" };
static const struct type count = { parse_count, print_count, "a number or 'infinity'" };
static const struct type span = { parse_span, print_span, "a time span such as '1h 30min'" };

/* ---- keys ---- */

#define AT_LIMIT(what) offsetof(struct config, limits.max[what])

static const struct key {
        const char *section, *name;
        const struct type *type;
        size_t at;
        const char *standard;
} keys[] = {
        { "Daemon", "Durability", &durability, offsetof(struct config, is_power), "power" },
        { "Daemon", "RetryMaxSec", &span, offsetof(struct config, retry_max_usec), "1h" },
        { "Daemon", "RetainMaxSec", &span, offsetof(struct config, retain_max_usec), "infinity" },
        { "Limits", "MaxConnections", &count, AT_LIMIT(USAGE_CONNECTIONS), "16384" },
        { "Limits", "MaxOwners", &count, AT_LIMIT(USAGE_OWNERS), "16384" },
        { "Limits", "MaxEntries", &count, AT_LIMIT(USAGE_ENTRIES), "2000000" },
        { "Limits", "MaxDirectories", &count, AT_LIMIT(USAGE_DIRECTORIES), "65536" },
        { "Limits", "MaxDescriptors", &count, AT_LIMIT(USAGE_DESCRIPTORS), "1024" },
        { "Limits", "MaxMessagesPerSec", &count, offsetof(struct config, limits.messages_per_sec),
          "250000" },
};

static bool set(struct config *c, const struct key *k, const char *text)
{
        return k->type->parse(text, (char *) c + k->at);
}

void config_init(struct config *c)
{
        *c = (struct config) { 0 };
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                (void) set(c, &keys[i], keys[i].standard); /* a test reads them all */
}

void config_print(const struct config *c, FILE *f)
{
        const char *section = "";
        char value[VALUE_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                if (!streq(keys[i].section, section))
                        (void) fprintf(f, "[%s]\n", keys[i].section);
                section = keys[i].section;
                keys[i].type->print((const char *) c + keys[i].at, value);
                (void) fprintf(f, "%s=%s\n", keys[i].name, value);
        }
}

/* ---- one file ---- */

struct reading {
        struct config *config;
        const char *file;
        unsigned int line;
        char section[VALUE_MAX]; /* "": none yet */
        bool is_known;           /* the section is */
        unsigned int n_complaints;
};

static void complain(struct reading *r, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

static void complain(struct reading *r, const char *format, ...)
{
        char text[1024];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        r->n_complaints++;
        log_write(LOG_WARNING,
                  &(struct log_fields) { .message_id = LOG_ID_CONFIG, .path = r->file },
                  "%s:%u: %s, ignored", r->file, r->line, text);
}

static char *strip(char *text)
{
        size_t len;

        text += strspn(text, " \t\r");
        for (len = strlen(text); len > 0 && strchr(" \t\r\n", text[len - 1]); len--)
                ;
        text[len] = 0;
        return text;
}

static void read_section(struct reading *r, char *text)
{
        size_t len = strlen(text);

        r->is_known = false;
        if (text[len - 1] != ']' || len - 2 >= sizeof(r->section)) {
                (void) snprintf(r->section, sizeof(r->section), "?");
                return complain(r, "'%s' is no section", text);
        }
        text[len - 1] = 0;
        (void) snprintf(r->section, sizeof(r->section), "%s", text + 1);
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                r->is_known = r->is_known || streq(keys[i].section, r->section);
        if (!r->is_known)
                complain(r, "unknown section [%s]", r->section);
}

static void read_value(struct reading *r, const struct key *k, const char *text)
{
        struct config next = *r->config;

        /* Nothing behind the sign takes back what an earlier file has said. */
        if (set(&next, k, *text ? text : k->standard))
                *r->config = next;
        else
                complain(r, "'%s' is no value for %s= (%s is)", text, k->name, k->type->wanted);
}

static void read_assignment(struct reading *r, char *text)
{
        char *sign = strchr(text, '='), *name;

        if (!sign)
                return complain(r, "'%s' is neither a section nor an assignment", text);
        if (!r->section[0])
                return complain(r, "'%s' is in no section", text);
        if (!r->is_known)
                return; /* was said of the section */
        *sign = 0;
        name = strip(text);
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (streq(keys[i].name, name) && streq(keys[i].section, r->section))
                        return read_value(r, &keys[i], strip(sign + 1));
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (streq(keys[i].name, name))
                        return complain(r, "key '%s' belongs in section [%s]", name,
                                        keys[i].section);
        complain(r, "unknown key '%s' in section [%s]", name, r->section);
}

static void read_line(struct reading *r, char *text, size_t len)
{
        if (strlen(text) != len)
                return complain(r, "there is a NUL byte in this line");
        text = strip(text);
        if (*text == 0 || *text == '#' || *text == ';')
                return;
        if (*text == '[')
                read_section(r, text);
        else
                read_assignment(r, text);
}

unsigned int config_read(struct config *c, FILE *f, const char *name)
{
        struct reading r = { .config = c, .file = name };
        _cleanup_(freep) char *line = NULL;
        size_t room = 0;
        ssize_t len;

        while ((errno = 0, len = getline(&line, &room, f)) >= 0) {
                r.line++;
                read_line(&r, line, (size_t) len);
        }
        if (errno != 0) {
                r.line++;
                complain(&r, "cannot be read from here: %s", strerror(errno));
        }
        return r.n_complaints;
}

unsigned int config_read_path(struct config *c, const char *path)
{
        struct reading r = { .file = path };
        unsigned int n;
        FILE *f;

        f = fopen(path, "re");
        if (!f) {
                complain(&r, "cannot be opened: %s", strerror(errno));
                return r.n_complaints;
        }
        n = config_read(c, f, path);
        (void) fclose(f);
        return n;
}

/* ---- all files ---- */

static int add_directory(char *ret[], const char *base, const char *below)
{
        unsigned int n = 0;

        while (ret[n])
                n++;
        if (asprintf(&ret[n], "%s%s", base, below) >= 0)
                return 0;
        ret[n] = NULL;
        return -ENOMEM;
}

static int add_user_directory(char *ret[])
{
        const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

        if (config && *config == '/')
                return add_directory(ret, config, "/tempfiled");
        if (home && *home == '/')
                return add_directory(ret, home, "/.config/tempfiled");
        return 0;
}

int config_directories(bool is_user, char *ret[CONFIG_DIRECTORIES_MAX + 1])
{
        static const char *const system_wide[] = { SYSCONFDIR, "/run", PREFIX "/lib" };
        int r = 0;

        for (unsigned int i = 0; i <= CONFIG_DIRECTORIES_MAX; i++)
                ret[i] = NULL;
        if (is_user)
                r = add_user_directory(ret);
        for (size_t i = 0; !is_user && r >= 0 && i < ARRAY_SIZE(system_wide); i++)
                r = add_directory(ret, system_wide[i], "/tempfiled");
        if (r < 0)
                config_directories_done(ret);
        return r;
}

void config_directories_done(char *directories[CONFIG_DIRECTORIES_MAX + 1])
{
        for (unsigned int i = 0; i <= CONFIG_DIRECTORIES_MAX; i++) {
                free(directories[i]);
                directories[i] = NULL;
        }
}

struct drop_in {
        char *path;
        const char *name; /* in it */
};

struct drop_ins {
        struct drop_in *files;
        size_t n, room;
};

static bool is_masked(const struct drop_ins *d, const char *name)
{
        for (size_t i = 0; i < d->n; i++)
                if (streq(d->files[i].name, name))
                        return true;
        return false;
}

static int add_drop_in(struct drop_ins *d, const char *directory, const char *name)
{
        size_t len = strlen(name);
        struct drop_in *more;

        if (name[0] == '.' || len < strlen(SUFFIX) || !streq(name + len - strlen(SUFFIX), SUFFIX) ||
            is_masked(d, name))
                return 0;
        if (d->n == d->room) {
                more = reallocarray(d->files, 2 * d->room + 4, sizeof(*more));
                if (!more)
                        return -ENOMEM;
                d->files = more;
                d->room = 2 * d->room + 4;
        }
        if (asprintf(&d->files[d->n].path, "%s/%s", directory, name) < 0)
                return -ENOMEM;
        d->files[d->n].name = strrchr(d->files[d->n].path, '/') + 1;
        d->n++;
        return 0;
}

static int find_drop_ins(struct drop_ins *d, const char *directory)
{
        _cleanup_(freep) char *path = NULL;
        struct dirent *e;
        int r = 0;
        DIR *dir;

        if (asprintf(&path, "%s/" CONFIG_NAME ".d", directory) < 0)
                return -ENOMEM;
        dir = opendir(path);
        if (!dir)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        while (r >= 0 && (e = readdir(dir)))
                r = add_drop_in(d, path, e->d_name);
        (void) closedir(dir);
        return r;
}

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct drop_in *) a)->name, ((const struct drop_in *) b)->name);
}

static unsigned int load_drop_ins(struct config *c, char *const directories[])
{
        struct drop_ins d = { 0 };
        struct reading failed = { 0 };
        unsigned int n = 0;
        int r;

        for (size_t i = 0; directories[i]; i++) {
                r = find_drop_ins(&d, directories[i]);
                failed.file = directories[i];
                if (r < 0)
                        complain(&failed, "drop-ins cannot be read: %s", strerror(-r));
        }
        if (d.n > 0)
                qsort(d.files, d.n, sizeof(*d.files), by_name);
        for (size_t i = 0; i < d.n; i++) {
                n += config_read_path(c, d.files[i].path);
                free(d.files[i].path);
        }
        free(d.files);
        return n + failed.n_complaints;
}

unsigned int config_load(struct config *c, char *const directories[])
{
        unsigned int n = 0;

        for (size_t i = 0; directories[i]; i++) {
                _cleanup_(freep) char *path = NULL;

                if (asprintf(&path, "%s/" CONFIG_NAME, directories[i]) < 0)
                        continue;
                if (access(path, F_OK) < 0 && errno == ENOENT)
                        continue;
                n += config_read_path(c, path);
                break;
        }
        return n + load_drop_ins(c, directories);
}
