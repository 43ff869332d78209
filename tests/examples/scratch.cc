/* SPDX-License-Identifier: MIT */

/*
 * From C++: a scratch directory that lives as long as an object, or as the process when that is
 * shorter.
 *
 *     scratch COMMAND...
 *
 * Runs the command with the directory as its TMPDIR.
 */

#include <cstdlib>
#include <libtempfile-admin.h>
#include <libtempfile.h>
#include <string>
#include <system_error>

class Scratch {
public:
        Scratch()
        {
                int r = tempfile_directory(nullptr, &t);

                if (r < 0)
                        throw std::system_error(-r, std::generic_category(), "tempfile_directory");
        }
        ~Scratch()
        {
                (void) tempfile_close(t);
        }
        Scratch(const Scratch &) = delete;
        Scratch &operator=(const Scratch &) = delete;

        const char *path() const
        {
                return tempfile_path(t);
        }

private:
        struct tempfile *t = nullptr;
};

int main(int argc, char **argv)
try {
        Scratch scratch;
        std::string command;

        for (int i = 1; i < argc; i++)
                command += std::string(argv[i]) + " ";
        setenv("TMPDIR", scratch.path(), 1);
        return std::system(command.c_str()) == 0 ? 0 : 1;
} catch (const std::system_error &e) {
        return e.code().value();
}
