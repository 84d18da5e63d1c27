/*
 * Packets of SOCK_SEQPACKET unix sockets as records on standard input and output, for Node, which has
 * no such sockets.
 *
 *   seqpacket-bridge listen PATH      any number of connections, from 1 on
 *   seqpacket-bridge connect PATH     one connection, number 1
 *
 * A record, little endian, is  u32 length of the rest | u32 connection | u8 kind | payload. Kinds: 0 it
 * opened (connection 0: listening), 1 a packet, 2 it ended, or is to end. The end of standard input ends
 * everything.
 */

#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_CONNECTIONS 64
#define MAX_PACKET 65536
#define HEADER_BYTES 9

enum kind { KIND_OPEN, KIND_PACKET, KIND_END };

static struct connection {
	int fd;
	uint32_t number;
} connections[MAX_CONNECTIONS];
static int connection_count;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void write_all(const uint8_t *bytes, size_t length)
{
	while (length) {
		ssize_t written = write(STDOUT_FILENO, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			exit(0);
		bytes += written;
		length -= (size_t)written;
	}
}

static bool read_all(uint8_t *bytes, size_t length)
{
	while (length) {
		ssize_t got = read(STDIN_FILENO, bytes, length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		bytes += got;
		length -= (size_t)got;
	}
	return true;
}

static void put_record(uint32_t number, enum kind kind, const uint8_t *payload, size_t length)
{
	static uint8_t record[HEADER_BYTES + MAX_PACKET];
	uint32_t rest = htole32((uint32_t)(length + HEADER_BYTES - 4));

	number = htole32(number);
	memcpy(record, &rest, 4);
	memcpy(record + 4, &number, 4);
	record[8] = (uint8_t)kind;
	if (length)
		memcpy(record + HEADER_BYTES, payload, length);
	write_all(record, HEADER_BYTES + length);
}

static void add_connection(int fd, uint32_t number)
{
	if (connection_count == MAX_CONNECTIONS) {
		close(fd);
		return;
	}
	connections[connection_count++] = (struct connection){ .fd = fd, .number = number };
	put_record(number, KIND_OPEN, NULL, 0);
}

static void end_connection(int at)
{
	uint32_t number = connections[at].number;

	close(connections[at].fd);
	connections[at] = connections[--connection_count];
	put_record(number, KIND_END, NULL, 0);
}

static void from_socket(int at)
{
	static uint8_t packet[MAX_PACKET];
	ssize_t got = recv(connections[at].fd, packet, sizeof(packet), 0);

	if (got <= 0)
		end_connection(at);
	else
		put_record(connections[at].number, KIND_PACKET, packet, (size_t)got);
}

static bool from_stdin(void)
{
	static uint8_t payload[MAX_PACKET];
	uint8_t header[HEADER_BYTES];
	uint32_t rest, number;

	if (!read_all(header, sizeof(header)))
		return false;
	memcpy(&rest, header, 4);
	memcpy(&number, header + 4, 4);
	rest = le32toh(rest) - (HEADER_BYTES - 4);
	number = le32toh(number);
	if (rest > sizeof(payload) || !read_all(payload, rest))
		return false;
	for (int at = 0; at < connection_count; at++) {
		if (connections[at].number != number)
			continue;
		if (header[8] == KIND_END || send(connections[at].fd, payload, rest, MSG_NOSIGNAL) < 0)
			end_connection(at);
		break;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	bool listens = argc == 3 && !strcmp(argv[1], "listen");
	uint32_t next = 1;
	int fd;

	if (argc != 3 || (!listens && strcmp(argv[1], "connect")) ||
	    strlen(argv[2]) >= sizeof(address.sun_path)) {
		fprintf(stderr, "usage: seqpacket-bridge listen|connect PATH\n");
		return 2;
	}
	strcpy(address.sun_path, argv[2]);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	if (listens) {
		unlink(argv[2]);
		if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, MAX_CONNECTIONS))
			die(argv[2]);
		put_record(0, KIND_OPEN, NULL, 0);
	} else {
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
			die(argv[2]);
		add_connection(fd, next);
	}
	for (;;) {
		struct pollfd polls[MAX_CONNECTIONS + 2];
		int count = connection_count;

		polls[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
		polls[1] = (struct pollfd){ .fd = listens ? fd : -1, .events = POLLIN };
		for (int at = 0; at < count; at++)
			polls[at + 2] = (struct pollfd){ .fd = connections[at].fd, .events = POLLIN };
		if (poll(polls, (nfds_t)count + 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			die("poll");
		}
		/* From the last: an end moves the last connection into the gap. */
		for (int at = count - 1; at >= 0; at--)
			if (polls[at + 2].revents)
				from_socket(at);
		if (polls[1].revents) {
			int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

			if (accepted >= 0)
				add_connection(accepted, next++);
		}
		if (polls[0].revents && !from_stdin())
			break;
		if (!listens && !connection_count)
			break;
	}
	if (listens)
		unlink(argv[2]);
	return 0;
}
