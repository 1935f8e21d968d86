// What a program sees of a sandbox through wasi-libc. Says the line of the
// first thing that is not as it should be.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHECK(it)                                              \
    do {                                                       \
        if (!(it)) {                                           \
            printf("%d: %s (errno %d)\n", __LINE__, #it, errno); \
            exit(1);                                           \
        }                                                      \
    } while (0)
#define FAILS(call, expected) CHECK((errno = 0, (call) == -1 && errno == (expected)))

static void put(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static const char *get(const char *path) {
    static char text[100];
    FILE *file = fopen(path, "r");
    CHECK(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    CHECK(fclose(file) == 0);
    return text;
}

static void paths(void) {
    // A relative path starts from the root, where only `in` and `out` are.
    put("out/relative", "1");
    CHECK(strcmp(get("/out/relative"), "1") == 0);
    CHECK(strcmp(get("in/a.txt"), "input") == 0);
    // The rest is refused by wasi-libc: ENOTCAPABLE, in newer ones ENOENT.
    CHECK(open("foo.txt", O_RDONLY) == -1);
    CHECK(open("foo.txt", O_CREAT | O_WRONLY, 0666) == -1);
    CHECK(open("/tmp/foo.txt", O_CREAT | O_WRONLY, 0666) == -1);
    FAILS(open("/in/a.txt", O_RDWR), EROFS);
    FAILS(open("/in/new", O_CREAT | O_WRONLY, 0666), EROFS);
    FAILS(open("/out/../in/a.txt", O_RDONLY), ENOTCAPABLE);
    FAILS(open("/out/relative/x", O_RDONLY), ENOTDIR);
    FAILS(open("/out", O_RDWR), EISDIR);
    FAILS(open("/out/relative", O_CREAT | O_EXCL | O_WRONLY, 0666), EEXIST);
    FAILS(rmdir("/out/relative"), ENOTDIR);
    CHECK(unlink("/out/relative") == 0);
    FAILS(unlink("/out/relative"), ENOENT);
}

static void links(void) {
    struct stat one, other;
    char target[20] = "";
    put("/out/file", "text");
    CHECK(mkdir("/out/d", 0777) == 0);
    CHECK(symlink("../file", "/out/d/link") == 0);
    CHECK(readlink("/out/d/link", target, sizeof target) == 7 && !strcmp(target, "../file"));
    CHECK(strcmp(get("/out/d/link"), "text") == 0);
    CHECK(lstat("/out/d/link", &one) == 0 && S_ISLNK(one.st_mode) && one.st_size == 7);
    CHECK(stat("/out/d/link", &one) == 0 && S_ISREG(one.st_mode) && one.st_nlink == 1);
    CHECK(link("/out/file", "/out/d/hard") == 0);
    CHECK(stat("/out/d/hard", &other) == 0 && other.st_ino == one.st_ino && other.st_nlink == 2);
    FAILS(open("/out/d/link", O_RDONLY | O_NOFOLLOW), ELOOP);
    FAILS(symlink("/out/file", "/out/absolute"), ENOTCAPABLE);
    CHECK(symlink("loop", "/out/loop") == 0);
    FAILS(open("/out/loop", O_RDONLY), ELOOP);
    FAILS(link("/out/d", "/out/e"), EPERM);
    FAILS(link("/in/a.txt", "/out/a"), EXDEV);
    FAILS(rename("/out/d", "/out/d/e"), EINVAL);
    FAILS(rmdir("/out/d"), ENOTEMPTY);
    CHECK(rename("/out/file", "/out/moved") == 0);
    FAILS(open("/out/d/link", O_RDONLY), ENOENT);
    CHECK(strcmp(get("/out/d/hard"), "text") == 0);
}

static void listing(void) {
    char names[100] = "";
    DIR *dir = opendir("/out");
    CHECK(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        strcat(strcat(names, entry->d_name), entry->d_type == DT_LNK ? "@ " : " ");
    }
    CHECK(closedir(dir) == 0 && strcmp(names, ". .. d loop@ moved ") == 0);
    CHECK(mkdir("/out/many", 0777) == 0);
    for (int number = 0; number < 500; number++) {
        char path[40];
        sprintf(path, "/out/many/a-rather-long-name-%d", number);
        put(path, "");
    }
    int count = 0;
    dir = opendir("/out/many");
    while (readdir(dir)) count++;
    CHECK(closedir(dir) == 0 && count == 502);
    for (int number = 0; number < 500; number++) {
        char path[40];
        sprintf(path, "/out/many/a-rather-long-name-%d", number);
        CHECK(unlink(path) == 0);
    }
    CHECK(rmdir("/out/many") == 0);
}

static void descriptors(void) {
    char byte = 0;
    int fd = open("/out/bytes", O_CREAT | O_RDWR, 0666);
    CHECK(write(fd, "0123456789", 10) == 10 && lseek(fd, -3, SEEK_END) == 7);
    CHECK(read(fd, &byte, 1) == 1 && byte == '7' && lseek(fd, 0, SEEK_CUR) == 8);
    CHECK(pwrite(fd, "!", 1, 2) == 1 && pread(fd, &byte, 1, 2) == 1 && byte == '!');
    CHECK(ftruncate(fd, 5) == 0 && posix_fallocate(fd, 4, 4) == 0);
    CHECK(posix_fallocate(fd, 0, 0) == EINVAL && posix_fadvise(fd, 0, 0, 99) == EINVAL);
    CHECK(lseek(fd, 0, SEEK_END) == 8 && fsync(fd) == 0 && fdatasync(fd) == 0);
    FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
    FAILS(lseek(1, 0, SEEK_CUR), ESPIPE);
    CHECK(unlink("/out/bytes") == 0 && pread(fd, &byte, 1, 0) == 1 && byte == '0');
    struct stat stat;
    CHECK(fstat(fd, &stat) == 0 && stat.st_nlink == 0 && stat.st_size == 8);
    struct timespec times[2] = {{5, 6}, {7, 8}};
    CHECK(futimens(fd, times) == 0 && fstat(fd, &stat) == 0);
    CHECK(stat.st_atim.tv_nsec == 6 && stat.st_mtim.tv_sec == 7);
    CHECK(close(fd) == 0);
    FAILS(close(fd), EBADF);
    FAILS(write(fd, "", 0), EBADF);
    CHECK(!isatty(0) && !isatty(1));
}

static void waiting(void) {
    struct timespec before, after, second = {1, 0};
    CHECK(clock_gettime(CLOCK_MONOTONIC, &before) == 0);
    struct pollfd ready[] = {{.fd = 0, .events = POLLIN}, {.fd = 1, .events = POLLOUT}};
    CHECK(poll(ready, 2, 5000) == 2 && ready[0].revents == POLLIN && ready[1].revents == POLLOUT);
    CHECK(clock_gettime(CLOCK_MONOTONIC, &after) == 0 && after.tv_sec == before.tv_sec);
    CHECK(nanosleep(&second, NULL) == 0 && sleep(2) == 0);
    CHECK(clock_gettime(CLOCK_MONOTONIC, &after) == 0 && after.tv_sec == before.tv_sec + 3);
    unsigned char random[16] = {0};
    CHECK(getentropy(random, sizeof random) == 0 && (random[0] | random[1] | random[2]));
}

int main(int count, char **args) {
    CHECK(count == 2 && !strcmp(args[0], "task") && !strcmp(args[1], "argument"));
    CHECK(!strcmp(getenv("NAME"), "value"));
    paths();
    links();
    listing();
    descriptors();
    waiting();
    puts("all as it should be");
    return 42;
}
