/* Stands in for nvidia-smi and for every other command of a generated script that must not be the real one. It says
 * what it was asked for over the socket beside it, prints what it is told and exits as it is told. Two names do more:
 * sudo and doas run the rest of their words. Without a socket it fails, and nothing happens. */
#define _GNU_SOURCE
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { NOT_REACHED = 97 };

/* sudo's and doas' options that take a word of their own. */
static int takes_word(const char *option)
{
    return option[0] == '-' && option[1] && !option[2] && strchr("ughpCcDRTU", option[1]) != NULL;
}

static void run_the_rest(char **argv)
{
    int at = 1;
    while (argv[at] && argv[at][0] == '-') {
        if (!strcmp(argv[at], "--")) {
            at++;
            break;
        }
        at += takes_word(argv[at]) ? 2 : 1;
    }
    while (argv[at] && strchr(argv[at], '=') && argv[at][0] != '/' && argv[at][0] != '-')
        putenv(argv[at++]);
    if (argv[at])
        execvp(argv[at], argv + at);
    _exit(127);
}

static int ask(void)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0)
        return -1;
    self[length] = 0;
    if (chdir(dirname(self)) != 0) /* a socket's path has room for 107 bytes only */
        return -1;
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int channel = socket(AF_UNIX, SOCK_STREAM, 0);
    if (channel < 0 || connect(channel, (struct sockaddr *)&address, sizeof address) != 0)
        return -1;
    return channel;
}

static int put(int to, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t done = write(to, bytes, length);
        if (done <= 0)
            return -1;
        bytes += done;
        length -= (size_t)done;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/');
    name = name ? name + 1 : argv[0];
    if (!strcmp(name, "sudo") || !strcmp(name, "doas"))
        run_the_rest(argv);
    int channel = ask();
    if (channel < 0)
        return NOT_REACHED;
    if (put(channel, name, strlen(name) + 1))
        return NOT_REACHED;
    for (int at = 1; at < argc; at++)
        if (put(channel, argv[at], strlen(argv[at]) + 1))
            return NOT_REACHED;
    shutdown(channel, SHUT_WR);
    char answer[4096];
    unsigned char status = NOT_REACHED;
    int first = 1;
    ssize_t got;
    while ((got = read(channel, answer, sizeof answer)) > 0) {
        if (first)
            status = (unsigned char)answer[0];
        if (put(STDOUT_FILENO, answer + first, (size_t)got - (size_t)first))
            break;
        first = 0;
    }
    return status;
}
