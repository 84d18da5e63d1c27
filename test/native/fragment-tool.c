/*
 * Fragments and datagrams as a filter, built with the sanitizers: records in, records out.
 *
 *     fragment MTU   packet     ->  its fragments, or an empty record when it may not be fragmented
 *     reassemble     fragments  ->  datagrams as they become whole; an empty record for a broken one
 *     alternate      the same, every second fragment from another TUN device
 */
#include "records.h"

#include "../../native/fragment.h"
#include "../../native/reassemble.h"

#define HEADROOM 96
#define TAILROOM 64

static void put(uint8_t *bytes, size_t length)
{
	struct iovec part = { bytes, length };

	put_record(&part, 1);
}

static void fragment(const uint8_t *bytes, size_t length, size_t mtu)
{
	struct fragments fragments;
	uint8_t *out = malloc(mtu);
	struct ip ip;

	if (!ip_parse(bytes, length, &ip) || !fragments_begin(&fragments, bytes, &ip, mtu, 0x12345678)) {
		put(out, 0);
	} else {
		while ((length = fragments_next(&fragments, out)) != 0) {
			put(out, length);
		}
	}
	free(out);
}

static void reassemble(struct reassembler *reassembler, uint8_t device, const uint8_t *bytes, size_t length)
{
	static uint8_t none;
	uint8_t *datagram = &none;
	enum reassembly_state state;
	struct ip ip, whole;

	if (!ip_parse(bytes, length, &ip) || !ip.is_fragment) {
		return;
	}
	state = reassembly_add(reassembler_begin(reassembler, device, bytes, &ip, 1), bytes, &ip, &datagram, &whole);
	if (state == REASSEMBLY_WHOLE) {
		/* As encapsulation will: it ends. */
		ip_transport_place(datagram, &whole);
		/* The room that encapsulation will use is there. */
		memset(datagram - HEADROOM, 0xee, HEADROOM);
		memset(datagram + whole.length, 0xee, TAILROOM);
	}
	if (state != REASSEMBLY_WAITING) {
		put(state == REASSEMBLY_WHOLE ? datagram : &none, state == REASSEMBLY_WHOLE ? whole.length : 0);
	}
}

int main(int argc, char **argv)
{
	static struct reassembler reassembler;
	uint8_t *bytes, device = 0;
	size_t length;

	if (argc < 2 || !reassembler_allocate(&reassembler, HEADROOM, TAILROOM)) {
		return 1;
	}
	while ((bytes = get_record(&length)) != NULL) {
		if (argc > 2) {
			fragment(bytes, length, (size_t)atoi(argv[2]));
		} else {
			reassemble(&reassembler, device, bytes, length);
			device ^= strcmp(argv[1], "alternate") == 0;
		}
		free(bytes);
	}
	reassembler_release(&reassembler);
	return 0;
}
