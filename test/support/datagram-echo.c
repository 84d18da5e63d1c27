/*
 * UDP datagrams of any size there and back, compared byte by byte.
 *
 *   datagram-echo serve PORT ADDRESS...                      until SIGTERM
 *   datagram-echo ask FROM TO PORT TRIES TIMEOUT_MS SIZE...  one of each size
 *
 * Addresses are IPv4 or IPv6. `serve` prints "ready" when its sockets are bound. `ask` prints how often
 * each size had to be sent, in the order of the sizes, and fails at the first that never came back or
 * came back with other bytes.
 *
 * The payload is text, so that whoever watches the wire can tell whether it was encrypted, and each of
 * its lines holds its own offset, so that pieces cannot change places:
 *
 *     LAGOPUS-0000000\nLAGOPUS-0000010\n ...
 */

#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 16
#define MAX_BYTES 65507
#define MAX_ADDRESSES 8
#define BUFFER_BYTES (8 << 20)

static void die(const char *what)
{
	fprintf(stderr, "datagram-echo: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct addrinfo *address(const char *text, const char *port)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_DGRAM }, *found;
	int failure = getaddrinfo(text, port, &hints, &found);

	if (failure) {
		fprintf(stderr, "datagram-echo: %s port %s: %s\n", text, port, gai_strerror(failure));
		exit(2);
	}
	return found;
}

static int bound_socket(const char *text, const char *port)
{
	struct addrinfo *local = address(text, port);
	int fd, bytes = BUFFER_BYTES;

	fd = socket(local->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		die("socket");
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0) {
		die("socket buffers (root is needed)");
	}
	if (bind(fd, local->ai_addr, local->ai_addrlen) < 0) {
		die(text);
	}
	freeaddrinfo(local);
	return fd;
}

static void serve(const char *port, char **addresses, int count)
{
	static uint8_t packet[MAX_BYTES + 1];
	struct pollfd fds[MAX_ADDRESSES];

	if (count > MAX_ADDRESSES) {
		fprintf(stderr, "datagram-echo: at most %d addresses\n", MAX_ADDRESSES);
		exit(2);
	}
	for (int i = 0; i < count; i++) {
		fds[i] = (struct pollfd){ bound_socket(addresses[i], port), POLLIN, 0 };
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		if (poll(fds, count, -1) < 0) {
			die("poll");
		}
		for (int i = 0; i < count; i++) {
			struct sockaddr_storage from;
			socklen_t from_length = sizeof(from);
			ssize_t length;

			if (!fds[i].revents) {
				continue;
			}
			length = recvfrom(fds[i].fd, packet, sizeof(packet), 0, (struct sockaddr*)&from, &from_length);
			/* an answer the kernel refuses is one that does not come: the other end tells */
			if (length >= 0) {
				sendto(fds[i].fd, packet, length, 0, (struct sockaddr*)&from, from_length);
			}
		}
	}
}

static void fill(uint8_t *payload, size_t bytes)
{
	char line[LINE_BYTES + 1];

	for (size_t at = 0; at < bytes; at += LINE_BYTES) {
		snprintf(line, sizeof(line), "LAGOPUS-%07zx\n", at);
		memcpy(payload + at, line, bytes - at < LINE_BYTES ? bytes - at : LINE_BYTES);
	}
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

/* Whether a datagram of this size came back in time; what else comes is of an earlier try. */
static bool comes_back(int fd, const uint8_t *payload, size_t bytes, int64_t timeout_ms)
{
	static uint8_t answer[MAX_BYTES + 1];
	int64_t deadline = now_ms() + timeout_ms, left;

	while ((left = deadline - now_ms()) > 0) {
		struct pollfd waiting = { fd, POLLIN, 0 };
		ssize_t length;

		if (poll(&waiting, 1, left) <= 0) {
			continue;
		}
		length = recv(fd, answer, sizeof(answer), 0);
		if (length != (ssize_t)bytes) {
			continue;
		}
		if (memcmp(answer, payload, bytes)) {
			fprintf(stderr, "datagram-echo: %zu bytes came back with other content\n", bytes);
			exit(1);
		}
		return true;
	}
	return false;
}

static void ask(char **argv, int sizes)
{
	static uint8_t payload[MAX_BYTES];
	struct addrinfo *remote = address(argv[1], argv[2]);
	int tries = atoi(argv[3]), timeout_ms = atoi(argv[4]), fd = bound_socket(argv[0], "0");

	if (connect(fd, remote->ai_addr, remote->ai_addrlen) < 0) {
		die("connect");
	}
	freeaddrinfo(remote);
	for (int i = 0; i < sizes; i++) {
		size_t bytes = strtoul(argv[5 + i], NULL, 10);
		int sent = 0, refusal = 0;

		if (bytes > MAX_BYTES) {
			fprintf(stderr, "datagram-echo: SIZE is 0 .. %d\n", MAX_BYTES);
			exit(2);
		}
		fill(payload, bytes);
		do {
			if (sent++ == tries) {
				fprintf(stderr, "datagram-echo: %zu bytes did not come back, sent %d times%s%s\n", bytes, tries,
						refusal ? ", last refused: " : "", refusal ? strerror(refusal) : "");
				exit(1);
			}
			refusal = send(fd, payload, bytes, 0) < 0 ? errno : 0;
		} while (!comes_back(fd, payload, bytes, timeout_ms));
		printf("%d%c", sent, i + 1 < sizes ? ' ' : '\n');
	}
}

int main(int argc, char **argv)
{
	if (argc >= 4 && !strcmp(argv[1], "serve")) {
		serve(argv[2], argv + 3, argc - 3);
	} else if (argc >= 8 && !strcmp(argv[1], "ask")) {
		ask(argv + 2, argc - 7);
	} else {
		fprintf(stderr, "usage: datagram-echo serve PORT ADDRESS...\n"
						"       datagram-echo ask FROM TO PORT TRIES TIMEOUT_MS SIZE...\n");
		return 2;
	}
	return 0;
}
