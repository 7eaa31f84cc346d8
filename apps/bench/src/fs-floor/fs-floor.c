/*
 * What small requests to oriel fs are held against at a depth of 1: a driver that hands a number over in shared memory and
 * sleeps in epoll_wait, and a server that looks at that number all the time, makes the system calls of one request, and
 * writes to the call eventfd. No ring, no FUSE, no checks; the server yields the CPU, but never sleeps.
 * Arguments: WORKLOAD FILE SERVER_CPU SECONDS. Prints one line, "OPS SECONDS P50_US P99_US SERVER_CPU_US DRIVER_CPU_US".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
/* One operation of so many is timed; so many times are kept. */
#define TIMED 16
/* Looks at the number before the driver may need this CPU. */
#define LOOKS 64
#define MAX_SAMPLES 65536

enum work { GETATTR, LOOKUP, OPEN, READ, WRITE };

/* Each side's number has a cache line of its own. */
static struct shared {
	_Alignas(64) _Atomic uint32_t asked;
	_Alignas(64) _Atomic uint32_t done;
	_Alignas(64) double server_us;
} *shared;

static double samples[MAX_SAMPLES];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static double us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Handed over instead of a number of an operation: the end. */
#define END UINT32_MAX

static void serve(enum work work, const char *path, int call)
{
	static char page[PAGE];
	struct iovec vector = { page, PAGE };
	struct statx status;
	char name[64];
	uint64_t one = 1;
	int place, dir, handle = -1, data;
	off_t size;
	char *slash = strrchr(path, '/');

	place = open(path, O_PATH | O_CLOEXEC);
	data = open(path, O_RDWR | O_CLOEXEC);
	*slash = 0;
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (place < 0 || data < 0 || dir < 0)
		fail(path);
	size = lseek(data, 0, SEEK_END);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", place);
	double start = us(CLOCK_PROCESS_CPUTIME_ID);
	for (uint32_t last = 0, looks = 0;;) {
		uint32_t asked = atomic_load(&shared->asked);
		long result;

		if (asked == last) {
			if (++looks % LOOKS == 0)
				sched_yield();
			continue;
		}
		if (asked == END)
			break;
		last = asked;
		/* Pages in mixed order: a step that shares no factor with their number. */
		off_t at = size < PAGE ? 0 : (off_t)(last * 40503ull % (size / PAGE)) * PAGE;

		switch (work) {
		case GETATTR:
			result = statx(place, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status);
			break;
		case LOOKUP:
			result = statx(dir, slash + 1, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status);
			break;
		case OPEN:
			/* Two requests: OPEN and RELEASE. */
			result = last & 1 ? (handle = open(name, O_RDONLY | O_CLOEXEC)) : close(handle);
			break;
		case READ:
			result = preadv(data, &vector, 1, at);
			break;
		default:
			result = pwritev(data, &vector, 1, at);
		}
		if (result < 0)
			fail("request");
		atomic_store(&shared->done, last);
		if (write(call, &one, sizeof(one)) < 0)
			fail("call");
	}
	shared->server_us = us(CLOCK_PROCESS_CPUTIME_ID) - start;
	exit(0);
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "getattr", "lookup", "open", "read-4k", "write-4k" };
	int work = 0, cpu, call, epoll, status;
	double seconds;
	cpu_set_t set;
	pid_t child;

	if (argc != 5)
		return 2;
	while (strcmp(argv[1], names[work]) != 0)
		if (++work > WRITE)
			return 2;
	cpu = atoi(argv[3]);
	seconds = atof(argv[4]);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	call = eventfd(0, EFD_CLOEXEC);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	if (shared == MAP_FAILED || call < 0 || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, call, &event) < 0)
		fail("set-up");
	child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set) < 0)
			fail("sched_setaffinity");
		serve(work, argv[2], call);
	}
	uint32_t steps = work == OPEN ? 2 : 1, number = 0;
	size_t ops = 0, kept = 0;
	double start = us(CLOCK_MONOTONIC), begin = start, now = start, cpu_us = us(CLOCK_PROCESS_CPUTIME_ID);

	while (now - start < seconds * 1e6) {
		for (int i = 0; i < TIMED; i++) {
			for (uint32_t step = 0; step < steps; step++) {
				atomic_store(&shared->asked, ++number);
				while (atomic_load(&shared->done) != number)
					if (epoll_wait(epoll, &event, 1, 1000) <= 0 && waitpid(child, &status, WNOHANG) == child)
						return 1;
			}
			if (i == 0) {
				now = us(CLOCK_MONOTONIC);
				/* The first one waits for the server's start. */
				if (ops == 0)
					start = now;
				else
					samples[kept++ % MAX_SAMPLES] = now - begin;
			}
			ops++;
		}
		begin = us(CLOCK_MONOTONIC);
	}
	double end = us(CLOCK_MONOTONIC);

	cpu_us = us(CLOCK_PROCESS_CPUTIME_ID) - cpu_us;
	atomic_store(&shared->asked, END);
	if (waitpid(child, &status, 0) != child || status != 0)
		return 1;
	if (kept > MAX_SAMPLES)
		kept = MAX_SAMPLES;
	qsort(samples, kept, sizeof(*samples), by_value);
	printf("%zu %.9f %.3f %.3f %.0f %.0f\n", ops, (end - start) / 1e6, samples[kept / 2], samples[kept * 99 / 100],
	       shared->server_us, cpu_us);
	return 0;
}
