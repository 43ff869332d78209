/* SPDX-License-Identifier: MIT */

/*
 * Going into the background with daemon(3), or forking twice: then nobody knows the pid of who is left
 * in the end. So the directory belongs to a token, a descriptor that each fork copies, and stays until
 * the last of the family has ended.
 *
 *     family
 *
 * Prints the pid and the directory of the process in the background, which ends with SIGTERM.
 */

#include <libtempfile.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct tempfile *t;
        int r, token;

        token = tempfile_token_new(0, &o.token);
        o.owner_kind = TEMPFILE_OWNER_TOKEN;
        r = token < 0 ? token : tempfile_directory(&o, &t);
        if (r < 0) {
                fprintf(stderr, "No directory: %s\n", strerror(-r));
                return 1;
        }
        if (daemon(0, 1) < 0) /* forks; the token's copy is this process's from now on */
                return 1;
        printf("%ld %s\n", (long) getpid(), tempfile_path(t));
        if (fclose(stdout) != 0 || chdir(tempfile_path(t)) < 0)
                return 1;
        for (;;)
                (void) pause(); /* its work; closing t would only free it */
}
