/*
 * What the benchmarks of oriel gpu are held against: the least that the same effect costs in C, between two processes on
 * the CPU that this program is held on. Arguments: KIND BYTES SECONDS. Prints one line,
 * "OPS SECONDS P50_US P99_US HERE_CPU_US THERE_CPU_US": this process stands for the back-end, its child for the VMM.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Latencies that are kept of one run. */
#define MAX_SAMPLES 65536
/* Bytes of a vhost-user message: the header, and the payload of SHMEM_MAP or ADD_MEM_REG; the answers. */
#define REQUEST 52
#define ANSWER 20

static double samples[MAX_SAMPLES];

/* All that the two processes share. Ends 0 are the back-end's. */
static struct {
	size_t bytes;
	int main_channel[2], back_channel[2], kick, call;
	char *window, *from, *to;
} s;

static void fail(const char *what)
{
	perror(what);
	_exit(1);
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static double cpu_us(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static void put(int socket, size_t len, int fd)
{
	char bytes[REQUEST] = {0};
	union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
	struct iovec iov = {bytes, len};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof control.bytes;
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	if (sendmsg(socket, &message, MSG_NOSIGNAL) != (ssize_t)len)
		fail("sendmsg");
}

/* The descriptor that came, or -1. The end of the stream ends the child. */
static int get(int socket, size_t len)
{
	char bytes[REQUEST];
	union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
	struct iovec iov = {bytes, len};
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes,
	};
	ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);
	int fd = -1;

	if (got == 0)
		_exit(0);
	if (got != (ssize_t)len)
		fail("recvmsg");
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	if (c != NULL)
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

static void ring(int event)
{
	uint64_t one = 1;

	if (write(event, &one, sizeof one) != sizeof one)
		fail("write");
}

static void await(int event)
{
	uint64_t count;

	if (read(event, &count, sizeof count) != sizeof count)
		fail("read");
}

static void map(int fd)
{
	if (mmap(s.window, s.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		fail("mmap");
}

static void unmap(void)
{
	if (mmap(s.window, s.bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		fail("mmap");
}

static int new_blob(void)
{
	int fd = memfd_create("floor", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, s.bytes) < 0)
		fail("memfd");
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	return fd;
}

/* exchange: a descriptor goes over, is mapped and unmapped, and the answer comes back. */
static int blob = -1;

static void exchange(void)
{
	put(s.back_channel[0], REQUEST, blob);
	get(s.back_channel[0], ANSWER);
}

static void exchange_peer(void)
{
	for (;;) {
		int fd = get(s.back_channel[1], REQUEST);

		map(fd);
		close(fd);
		unmap();
		put(s.back_channel[1], ANSWER, -1);
	}
}

/*
 * wire: MAP_BLOB and UNMAP_BLOB with every message of the protocol, both processes doing nothing but what it asks for:
 * kick; SHMEM_MAP, answer, ADD_MEM_REG, ack; call; kick; SHMEM_UNMAP, answer, REM_MEM_REG, ack; call. The driver starts
 * each, so the clock of an operation is here the time from one to the next.
 */
static void change(int fd)
{
	await(s.kick);
	put(s.back_channel[0], REQUEST, fd);
	get(s.back_channel[0], ANSWER);
	int told = get(s.main_channel[0], REQUEST);
	if (told >= 0)
		close(told);
	put(s.main_channel[0], ANSWER, -1);
	ring(s.call);
}

static void wire(void)
{
	change(blob);
	change(-1);
}

static void change_peer(void)
{
	ring(s.kick);
	int fd = get(s.back_channel[1], REQUEST);
	if (fd >= 0)
		map(fd);
	else
		unmap();
	put(s.back_channel[1], ANSWER, -1);
	put(s.main_channel[1], REQUEST, fd);
	if (fd >= 0)
		close(fd);
	get(s.main_channel[1], ANSWER);
	await(s.call);
}

static void wire_peer(void)
{
	for (;;)
		change_peer();
}

/* wire-life: the same with CREATE_BLOB before and UNREF behind, which need a kick and a call each. */
static void wire_life(void)
{
	await(s.kick);
	blob = new_blob();
	ring(s.call);
	wire();
	await(s.kick);
	close(blob);
	ring(s.call);
}

static void wire_life_peer(void)
{
	for (;;) {
		ring(s.kick);
		await(s.call);
		change_peer();
		change_peer();
		ring(s.kick);
		await(s.call);
	}
}

/* memcpy: the bytes once, from memory to memory of this process. */
static void copy(void)
{
	memcpy(s.to, s.from, s.bytes);
	__asm__ volatile("" ::: "memory");
}

/* socket: the bytes once through a Unix stream socket; the end of each is answered. */
static void push(void)
{
	for (size_t done = 0; done < s.bytes;) {
		ssize_t sent = send(s.back_channel[0], s.to + done, s.bytes - done, MSG_NOSIGNAL);

		if (sent < 0)
			fail("send");
		done += sent;
	}
	get(s.back_channel[0], ANSWER);
}

static void push_peer(void)
{
	for (;;) {
		for (size_t done = 0; done < s.bytes;) {
			ssize_t got = read(s.back_channel[1], s.from + done, s.bytes - done);

			if (got <= 0)
				_exit(got < 0);
			done += got;
		}
		put(s.back_channel[1], ANSWER, -1);
	}
}

/* frame: a transfer and a push. */
static void frame(void)
{
	copy();
	push();
}

static const struct {
	const char *name;
	void (*once)(void), (*peer)(void);
} KINDS[] = {
	{"exchange", exchange, exchange_peer}, {"wire", wire, wire_peer}, {"wire-life", wire_life, wire_life_peer},
	{"memcpy", copy, NULL}, {"socket", push, push_peer}, {"frame", frame, push_peer},
};

static int rising(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static char *memory(void)
{
	char *p = mmap(NULL, s.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	memset(p, 1, s.bytes);
	return p;
}

static void run(void (*once)(void), void (*peer)(void), double seconds)
{
	size_t ops = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s.main_channel) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s.back_channel) < 0)
		fail("socketpair");
	s.kick = eventfd(0, EFD_CLOEXEC);
	s.call = eventfd(0, EFD_CLOEXEC);
	s.window = memory();
	s.from = memory();
	s.to = memory();
	unmap();
	blob = new_blob();
	pid_t child = peer == NULL ? 0 : fork();
	if (child < 0)
		fail("fork");
	if (peer != NULL && child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(s.main_channel[0]);
		close(s.back_channel[0]);
		peer();
	}
	close(s.main_channel[1]);
	close(s.back_channel[1]);
	/* The first one pays for page tables. */
	once();
	double cpu = cpu_us(RUSAGE_SELF), start = now_us(), last = start;
	while (last - start < seconds * 1e6) {
		once();
		double now = now_us();
		samples[ops++ % MAX_SAMPLES] = now - last;
		last = now;
	}
	cpu = cpu_us(RUSAGE_SELF) - cpu;
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	size_t kept = ops < MAX_SAMPLES ? ops : MAX_SAMPLES;
	qsort(samples, kept, sizeof *samples, rising);
	printf("%zu %.9f %.3f %.3f %.0f %.0f\n", ops, (last - start) / 1e6, samples[kept / 2], samples[kept * 99 / 100], cpu,
	       cpu_us(RUSAGE_CHILDREN));
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	s.bytes = strtoul(argv[2], NULL, 10);
	for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
		if (strcmp(KINDS[i].name, argv[1]) == 0) {
			run(KINDS[i].once, KINDS[i].peer, atof(argv[3]));
			return 0;
		}
	}
	return 2;
}
