/*
 * Numbered UDP packets: one end sends them at a rate, the other says which ones arrived.
 *
 *   packet-counter send FROM TO PORT STREAM SIZE RATE COUNT     COUNT 0: until SIGTERM
 *   packet-counter receive BIND PORT STREAM                     until SIGTERM
 *
 * Each prints JSON lines on standard output: {"ready":true} when its socket is bound, and its
 * counts on SIGUSR1 and at the end.
 *
 * A payload is  u32 magic | u32 stream | u64 sequence | zeros, big endian. A packet that the kernel
 * refuses (no route yet, EPERM, ENOBUFS) keeps its number for the next try, so that `sent` counts
 * exactly the numbers 0 .. sent-1 that left.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x4c474350 /* "LGCP" */
#define HEADER_BYTES 16
#define MAX_BYTES 9000
#define BATCH 64
#define MAX_SEQUENCES (1u << 26)
#define MAX_GAPS 32

static volatile sig_atomic_t stop_wanted, report_wanted;

static void on_signal(int signo)
{
	if (signo == SIGUSR1) {
		report_wanted = 1;
	} else {
		stop_wanted = 1;
	}
}

static void die(const char *what)
{
	fprintf(stderr, "packet-counter: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static struct sockaddr_in address(const char *text, unsigned long port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };

	if (inet_pton(AF_INET, text, &sin.sin_addr) != 1) {
		fprintf(stderr, "packet-counter: not an IPv4 address: %s\n", text);
		exit(2);
	}
	return sin;
}

static int bound_socket(const char *text, unsigned long port)
{
	struct sockaddr_in sin = address(text, port);
	int fd, buffer_bytes = 32 << 20;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		die("socket");
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof(buffer_bytes)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer_bytes, sizeof(buffer_bytes)) < 0) {
		die("socket buffers (root is needed)");
	}
	if (bind(fd, (struct sockaddr*)&sin, sizeof(sin)) < 0) {
		die("bind");
	}
	puts("{\"ready\":true}");
	return fd;
}

/* ---- sending ---- */

struct send_counts {
	uint64_t sent, refused;
	int last_error;
	uint64_t start_ns;
};

static void report_sent(const struct send_counts *counts)
{
	printf("{\"sent\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"lastError\":\"%s\",\"elapsedMs\":%" PRIu64 "}\n",
		   counts->sent, counts->refused, counts->last_error ? strerror(counts->last_error) : "",
		   (now_ns() - counts->start_ns) / 1000000);
}

/* One packet each 1/RATE s; above 1000 a second, a burst each millisecond. */
static void send_numbered(char **argv)
{
	struct sockaddr_in to = address(argv[1], strtoul(argv[2], NULL, 10));
	uint32_t stream = strtoul(argv[3], NULL, 10);
	size_t bytes = strtoul(argv[4], NULL, 10);
	uint64_t rate = strtoull(argv[5], NULL, 10), count = strtoull(argv[6], NULL, 10);
	uint64_t slot_ns, due, now;
	struct send_counts counts = { .start_ns = now_ns() };
	uint8_t packet[MAX_BYTES] = { 0 };
	int fd;

	if (bytes < HEADER_BYTES || bytes > MAX_BYTES || rate < 1 || rate > 1000000) {
		fprintf(stderr, "packet-counter: SIZE is 16 .. 9000, RATE 1 .. 1000000\n");
		exit(2);
	}
	fd = bound_socket(argv[0], 0);
	slot_ns = rate > 1000 ? 1000000 : 1000000000 / rate;
	counts.start_ns = now_ns();
	while (!stop_wanted && (!count || counts.sent < count)) {
		now = now_ns();
		/* due: how many should have left by now; refused ones used their turn up */
		due = (now - counts.start_ns) * rate / 1000000000 + 1;
		while (!stop_wanted && counts.sent + counts.refused < due && (!count || counts.sent < count)) {
			uint32_t words[2] = { htonl(MAGIC), htonl(stream) };
			uint64_t sequence = htobe64(counts.sent);

			memcpy(packet, words, sizeof(words));
			memcpy(packet + sizeof(words), &sequence, sizeof(sequence));
			if (sendto(fd, packet, bytes, 0, (struct sockaddr*)&to, sizeof(to)) < 0) {
				counts.refused++;
				counts.last_error = errno;
			} else {
				counts.sent++;
			}
		}
		if (report_wanted) {
			report_wanted = 0;
			report_sent(&counts);
		}
		now = ((now - counts.start_ns) / slot_ns + 1) * slot_ns + counts.start_ns;
		struct timespec next = { now / 1000000000, now % 1000000000 };
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	report_sent(&counts);
}

/* ---- receiving ---- */

struct receive_counts {
	uint64_t received, duplicates, reordered, foreign;
	uint64_t next;           /* one more than the highest sequence seen */
	uint64_t last_arrival_ns, longest_silence_ns;
	uint8_t *seen;           /* a bit per sequence */
	size_t seen_bytes;
};

static bool mark_seen(struct receive_counts *counts, uint64_t sequence)
{
	size_t index = sequence / 8;
	uint8_t bit = 1 << (sequence % 8);

	if (index >= counts->seen_bytes) {
		size_t grown = (index + 1) * 2;

		counts->seen = realloc(counts->seen, grown);
		if (!counts->seen) {
			die("realloc");
		}
		memset(counts->seen + counts->seen_bytes, 0, grown - counts->seen_bytes);
		counts->seen_bytes = grown;
	}
	if (counts->seen[index] & bit) {
		return false;
	}
	counts->seen[index] |= bit;
	return true;
}

static void count_packet(struct receive_counts *counts, const uint8_t *packet, size_t bytes, uint32_t stream)
{
	uint32_t words[2];
	uint64_t sequence, now;

	if (bytes < HEADER_BYTES) {
		counts->foreign++;
		return;
	}
	memcpy(words, packet, sizeof(words));
	memcpy(&sequence, packet + sizeof(words), sizeof(sequence));
	sequence = be64toh(sequence);
	if (ntohl(words[0]) != MAGIC || ntohl(words[1]) != stream || sequence >= MAX_SEQUENCES) {
		counts->foreign++;
		return;
	}
	if (!mark_seen(counts, sequence)) {
		counts->duplicates++;
		return;
	}
	counts->received++;
	if (sequence < counts->next) {
		counts->reordered++;
	} else {
		counts->next = sequence + 1;
	}
	now = now_ns();
	if (counts->last_arrival_ns && now - counts->last_arrival_ns > counts->longest_silence_ns) {
		counts->longest_silence_ns = now - counts->last_arrival_ns;
	}
	counts->last_arrival_ns = now;
}

/* Gaps are runs of missing numbers below the highest one seen: what is missing at the end, only
 * the sender knows. */
static void report_received(const struct receive_counts *counts)
{
	uint64_t missing = counts->next - counts->received, sequence, gaps = 0;

	printf("{\"received\":%" PRIu64 ",\"duplicates\":%" PRIu64 ",\"reordered\":%" PRIu64
		   ",\"foreign\":%" PRIu64 ",\"missing\":%" PRIu64 ",\"longestSilenceMs\":%" PRIu64 ",\"gaps\":[",
		   counts->received, counts->duplicates, counts->reordered, counts->foreign, missing,
		   counts->longest_silence_ns / 1000000);
	for (sequence = 0; missing && sequence < counts->next && gaps < MAX_GAPS; sequence++) {
		uint64_t first = sequence;

		while (sequence < counts->next && !(counts->seen[sequence / 8] & 1 << (sequence % 8))) {
			sequence++;
		}
		if (sequence > first) {
			printf("%s{\"first\":%" PRIu64 ",\"count\":%" PRIu64 "}", gaps++ ? "," : "", first, sequence - first);
		}
	}
	printf("]}\n");
}

static void receive_numbered(char **argv)
{
	static uint8_t packets[BATCH][MAX_BYTES];
	struct receive_counts counts = { 0 };
	struct mmsghdr messages[BATCH] = { 0 };
	struct iovec vectors[BATCH];
	struct timeval patience = { .tv_usec = 50000 };
	uint32_t stream = strtoul(argv[2], NULL, 10);
	int fd, got;

	fd = bound_socket(argv[0], strtoul(argv[1], NULL, 10));
	/* a signal between the loop's test and the call is noticed at the time-out */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0) {
		die("SO_RCVTIMEO");
	}
	for (int i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){ packets[i], MAX_BYTES };
		messages[i].msg_hdr.msg_iov = &vectors[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	while (!stop_wanted) {
		got = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < got; i++) {
			count_packet(&counts, packets[i], messages[i].msg_len, stream);
		}
		if (report_wanted) {
			report_wanted = 0;
			report_received(&counts);
		}
	}
	while ((got = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL)) > 0) {
		for (int i = 0; i < got; i++) {
			count_packet(&counts, packets[i], messages[i].msg_len, stream);
		}
	}
	report_received(&counts);
}

int main(int argc, char **argv)
{
	/* without SA_RESTART: a signal ends a waiting recvmmsg() */
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 9 && !strcmp(argv[1], "send")) {
		send_numbered(argv + 2);
	} else if (argc == 5 && !strcmp(argv[1], "receive")) {
		receive_numbered(argv + 2);
	} else {
		fprintf(stderr, "usage: packet-counter send FROM TO PORT STREAM SIZE RATE COUNT\n"
						"       packet-counter receive BIND PORT STREAM\n");
		return 2;
	}
	return 0;
}
