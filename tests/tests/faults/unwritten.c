// Text that a program cannot write to standard error goes to the file $UNWRITTEN, where a test can read it.
// The program sees the failure all the same.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t write(int file, const void *text, size_t size) {
    ssize_t written = syscall(SYS_write, file, text, size);
    const char *path = getenv("UNWRITTEN");
    if (written >= 0 || file != STDERR_FILENO || !path) return written;
    int why = errno;
    int kept = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (kept >= 0) {
        syscall(SYS_write, kept, text, size);
        close(kept);
    }
    errno = why;
    return written;
}
