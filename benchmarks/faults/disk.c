// A file system that fails, for one folder: preloaded into a process (LD_PRELOAD), it counts the calls that change what
// lies below FAULT_FOLDER, and lets the FAULT_AT-th fail with FAULT_ERRNO; with FAULT_STAYS all that follow fail too, as
// on a full disk. FAULT_DONE says that the call is done all the same, and only its answer is lost, as on NFS.
// FAULT_CALLS names the kinds of calls that count. Each that was counted is left as a line of FAULT_COUNT.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int count;

static int below(const char *path) {
    const char *folder = getenv("FAULT_FOLDER");
    char here[PATH_MAX + 1] = "", whole[2 * PATH_MAX + 2];
    if (!folder || !path || (path[0] != '/' && !getcwd(here, PATH_MAX))) return 0;
    snprintf(whole, sizeof whole, "%s%s%s", here, path[0] == '/' ? "" : "/", path);
    return strncmp(whole, folder, strlen(folder)) == 0;
}

static int held(int file) {
    char link[64], path[PATH_MAX + 1];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, PATH_MAX);
    if (size < 0) return 0;
    path[size] = 0;
    return below(path);
}

// Whether this call fails; errno says how.
static int fails(const char *call, int ours) {
    if (!ours || !strstr(getenv("FAULT_CALLS"), call)) return 0;
    int number = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST), at = atoi(getenv("FAULT_AT"));
    char text[96];
    int size = snprintf(text, sizeof text, "%d %s\n", number, call);
    int (*opening)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    ssize_t (*writing)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    int log = opening(getenv("FAULT_COUNT"), O_WRONLY | O_CREAT | O_APPEND, 0644);
    writing(log, text, size);
    close(log);
    if (!at || (getenv("FAULT_STAYS") ? number < at : number != at)) return 0;
    errno = atoi(getenv("FAULT_ERRNO"));
    return 1;
}

#define REAL(type, name, ...) type (*real)(__VA_ARGS__) = dlsym(RTLD_NEXT, name)
#define CALL(name, ours, done)                        \
    if (fails(name, ours)) {                          \
        int number = errno;                           \
        if (getenv("FAULT_DONE")) { done; }           \
        errno = number;                               \
        return -1;                                    \
    }                                                 \
    return done

#define OPEN(function)                                                          \
    int function(const char *path, int flags, ...) {                            \
        va_list rest;                                                           \
        va_start(rest, flags);                                                  \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                           \
        REAL(int, #function, const char *, int, ...);                           \
        CALL("open", (flags & O_CREAT) && below(path), real(path, flags, mode)); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(function)                                                              \
    int function(int folder, const char *path, int flags, ...) {                      \
        va_list rest;                                                                 \
        va_start(rest, flags);                                                        \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;       \
        va_end(rest);                                                                 \
        REAL(int, #function, int, const char *, int, ...);                            \
        CALL("open", (flags & O_CREAT) && below(path), real(folder, path, flags, mode)); \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *bytes, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    CALL("write", held(file), real(file, bytes, size));
}

ssize_t writev(int file, const struct iovec *parts, int n) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    CALL("write", held(file), real(file, parts, n));
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    CALL("write", held(file), real(file, bytes, size, at));
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    CALL("write", held(file), real(file, bytes, size, at));
}

int fsync(int file) {
    REAL(int, "fsync", int);
    CALL("sync", held(file), real(file));
}

int fdatasync(int file) {
    REAL(int, "fdatasync", int);
    CALL("sync", held(file), real(file));
}

int ftruncate(int file, off_t size) {
    REAL(int, "ftruncate", int, off_t);
    CALL("truncate", held(file), real(file, size));
}

int ftruncate64(int file, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    CALL("truncate", held(file), real(file, size));
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    CALL("mkdir", below(path), real(path, mode));
}

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    CALL("rename", below(to), real(from, to));
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    REAL(int, "renameat", int, const char *, int, const char *);
    CALL("rename", below(to), real(from_folder, from, to_folder, to));
}

int link(const char *from, const char *to) {
    REAL(int, "link", const char *, const char *);
    CALL("link", below(to), real(from, to));
}

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    CALL("unlink", below(path), real(path));
}

int flock(int file, int operation) {
    REAL(int, "flock", int, int);
    CALL("lock", held(file), real(file, operation));
}
