/*
 * A probe that lives on between the host's commands, since what it holds dies with it. It reads one command a line from
 * the FIFO NAME.in and answers on NAME.out, each answer ended by a line "." (done) or "! WHY" (failed).
 */
#pragma once
#include <stdarg.h>
#include <sys/stat.h>
#include "probe.h"

static FILE *serve_out;

static inline void say(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(serve_out, format, args);
  va_end(args);
  fputc('\n', serve_out);
}

/* Ends the answer to a command: `return done();` or `return failed("ioctl");`. */
static inline int done(void) { return 0; }
static inline int failed(const char *what) {
  fprintf(serve_out, "! %s: %s\n", what, strerror(errno));
  return -1;
}

/* Makes both FIFOs, goes to the background, and hands each line to `command` until it says "quit". */
static inline void serve(const char *name, int (*command)(char *line)) {
  char in_path[128], out_path[128];
  snprintf(in_path, sizeof in_path, "%s.in", name);
  snprintf(out_path, sizeof out_path, "%s.out", name);
  unlink(in_path);
  unlink(out_path);
  if (mkfifo(in_path, 0600) < 0 || mkfifo(out_path, 0600) < 0) die("mkfifo");
  /* Open for both directions: the end of one command's shell is no end of file. */
  int in = open_or_die(in_path, O_RDWR, 0);
  int out = open_or_die(out_path, O_RDWR, 0);
  pid_t child = fork();
  if (child < 0) die("fork");
  if (child > 0) exit(0);
  setsid();
  FILE *lines = fdopen(in, "r");
  serve_out = fdopen(out, "w");
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, lines) > 0) {
    line[strcspn(line, "\n")] = '\0';
    int quit = strcmp(line, "quit") == 0;
    if (quit || command(line) == 0) fputs(".\n", serve_out);
    fflush(serve_out);
    if (quit) break;
  }
  exit(0);
}
