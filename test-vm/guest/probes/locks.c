/*
 * locks NAME FILE: a probe that lives on (serve.h) and locks one file. Commands: `set TYPE START LEN` by fcntl and `flock TYPE`, where
 * TYPE is r, w or u; both answer with "got" or the error's name. `wait TYPE START LEN` and `wait-flock TYPE` do so without asking
 * again: another process of the probe waits, and `waited` tells whether it has the lock. `test TYPE START LEN` says what is in its
 * way. `close` opens and closes the file.
 */
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include "serve.h"

static const char *path;
static int fd, waiter_pipe[2];
static pid_t waiter;

static short kind(char letter) { return letter == 'r' ? F_RDLCK : letter == 'w' ? F_WRLCK : F_UNLCK; }

static int operation(char letter) { return letter == 'r' ? LOCK_SH : letter == 'w' ? LOCK_EX : LOCK_UN; }

static int answer(int result) {
  if (result == 0) say("got");
  else say("%s", errno == EAGAIN || errno == EACCES ? "EAGAIN" : strerror(errno));
  return done();
}

/* A child has descriptors and locks of its own, and keeps them until `waited` ends it. */
static int wait_for(const char *line) {
  char letter;
  long long start = 0, len = 0;
  if (pipe(waiter_pipe) < 0) return failed("pipe");
  waiter = fork();
  if (waiter < 0) return failed("fork");
  if (waiter == 0) {
    int own = open_or_die(path, O_RDWR, 0), result;
    if (sscanf(line, "wait-flock %c", &letter) == 1) {
      result = flock(own, operation(letter));
    } else {
      sscanf(line, "wait %c %lld %lld", &letter, &start, &len);
      struct flock lock = {.l_type = kind(letter), .l_start = start, .l_len = len};
      result = fcntl(own, F_SETLKW, &lock);
    }
    if (write(waiter_pipe[1], result == 0 ? "got" : "error", 6) < 0) exit(2);
    pause();
  }
  close(waiter_pipe[1]);
  return done();
}

static int waited(void) {
  char text[8] = "";
  if (read(waiter_pipe[0], text, sizeof text - 1) < 0) return failed("read");
  close(waiter_pipe[0]);
  kill(waiter, SIGKILL);
  waitpid(waiter, NULL, 0);
  say("%s", text);
  return done();
}

static int command(char *line) {
  char letter;
  long long start, len;
  struct flock lock = {0};
  if (strncmp(line, "wait", 4) == 0 && strcmp(line, "waited") != 0) return wait_for(line);
  if (strcmp(line, "waited") == 0) return waited();
  if (sscanf(line, "flock %c", &letter) == 1) return answer(flock(fd, operation(letter) | LOCK_NB));
  if (strcmp(line, "close") == 0) {
    int other = open(path, O_RDWR);
    if (other < 0 || close(other) < 0) return failed("close");
    return done();
  }
  if (sscanf(line, "set %c %lld %lld", &letter, &start, &len) == 3) {
    lock = (struct flock){.l_type = kind(letter), .l_start = start, .l_len = len};
    return answer(fcntl(fd, F_SETLK, &lock));
  }
  if (sscanf(line, "test %c %lld %lld", &letter, &start, &len) == 3) {
    lock = (struct flock){.l_type = kind(letter), .l_start = start, .l_len = len};
    if (fcntl(fd, F_GETLK, &lock) < 0) return failed("F_GETLK");
    say("%s %lld %lld", lock.l_type == F_UNLCK ? "free" : lock.l_type == F_RDLCK ? "r" : "w", (long long)lock.l_start,
        (long long)lock.l_len);
    return done();
  }
  errno = EINVAL;
  return failed(line);
}

int main(int argc, char **argv) {
  if (argc < 3) usage("locks NAME FILE");
  path = argv[2];
  fd = open_or_die(path, O_RDWR | O_CREAT, 0644);
  serve(argv[1], command);
}
