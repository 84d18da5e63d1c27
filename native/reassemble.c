#include "reassemble.h"

#include "bytes.h"
#include "fragment.h"

#include <netinet/in.h>
#include <stdlib.h>

#define MAX_HEADER 512
#define MAX_DATAGRAM 65535
/* They come from this host, at once. */
#define TIMEOUT_MS 1000
#define WORD_BITS 64

/* What a fragment is of its datagram. */
struct piece {
	/* The headers that each fragment has, where they name what follows, and what that is. */
	size_t header;
	size_t at;
	uint8_t next_header;
	uint32_t identification;
	size_t offset;
	bool is_last;
	const uint8_t *data;
	size_t length;
};

static struct piece piece_ipv4(const uint8_t *packet, const struct ip *ip)
{
	return (struct piece){
		.header = ip->upper,
		.at = ip->protocol_at,
		.next_header = ip->protocol,
		.identification = get16(packet + 4),
		.offset = (size_t)(get16(packet + 6) & IPV4_OFFSET) * 8,
		.is_last = (get16(packet + 6) & IPV4_MF) == 0,
		.data = packet + ip->upper,
		.length = ip->length - ip->upper,
	};
}

/* Extension headers that can be stepped over lie before the fragment header: ip_parse() did. */
static struct piece piece_ipv6(const uint8_t *packet, const struct ip *ip)
{
	size_t at = 6, offset = IPV6_HEADER;
	uint16_t field;

	while (packet[at] != IPPROTO_FRAGMENT) {
		at = offset;
		offset += ipv6_extension_length(packet, offset, ip->length);
	}
	field = get16(packet + offset + 2);
	return (struct piece){
		.header = offset,
		.at = at,
		.next_header = packet[offset],
		.identification = get32(packet + offset + 4),
		.offset = field & 0xfff8,
		.is_last = (field & 1) == 0,
		.data = packet + offset + IPV6_FRAGMENT_HEADER,
		.length = ip->length - offset - IPV6_FRAGMENT_HEADER,
	};
}

static struct piece piece_of(const uint8_t *packet, const struct ip *ip)
{
	return ip->is_ipv6 ? piece_ipv6(packet, ip) : piece_ipv4(packet, ip);
}

bool reassembler_allocate(struct reassembler *reassembler, size_t headroom, size_t tailroom)
{
	size_t stride = headroom + MAX_HEADER + MAX_DATAGRAM + 1 + tailroom, i;

	reassembler->buffers = malloc(stride * REASSEMBLIES);
	for (i = 0; reassembler->buffers && i < REASSEMBLIES; i++) {
		reassembler->items[i].data = reassembler->buffers + i * stride + headroom + MAX_HEADER;
	}
	return reassembler->buffers != NULL;
}

void reassembler_release(struct reassembler *reassembler)
{
	free(reassembler->buffers);
	*reassembler = (struct reassembler){ 0 };
}

struct reassembly *reassembler_find(struct reassembler *reassembler, uint8_t device, const uint8_t *packet,
	const struct ip *ip, uint64_t now_ms)
{
	struct address source = ip_source(packet, ip), destination = ip_destination(packet, ip);
	uint32_t identification = piece_of(packet, ip).identification;
	struct reassembly *r;

	for (r = reassembler->items; r < reassembler->items + REASSEMBLIES; r++) {
		if (r->is_used && now_ms - r->begun_ms <= TIMEOUT_MS && r->device == device && r->is_ipv6 == ip->is_ipv6 &&
		    r->identification == identification && (r->is_ipv6 || r->protocol == ip->protocol) &&
		    address_equals(&r->source, &source) && address_equals(&r->destination, &destination)) {
			return r;
		}
	}
	return NULL;
}

struct reassembly *reassembler_begin(struct reassembler *reassembler, uint8_t device, const uint8_t *packet,
	const struct ip *ip, uint64_t now_ms)
{
	struct reassembly *found = reassembler_find(reassembler, device, packet, ip, now_ms), *r;
	uint8_t *data;

	if (found) {
		return found;
	}
	found = reassembler->items;
	for (r = found; r < reassembler->items + REASSEMBLIES; r++) {
		if (!r->is_used || (found->is_used && r->begun_ms < found->begun_ms)) {
			found = r;
		}
	}
	data = found->data;
	*found = (struct reassembly){
		.is_used = true,
		.device = device,
		.is_ipv6 = ip->is_ipv6,
		.protocol = ip->protocol,
		.identification = piece_of(packet, ip).identification,
		.source = ip_source(packet, ip),
		.destination = ip_destination(packet, ip),
		.begun_ms = now_ms,
		.data = data,
	};
	return found;
}

/* False if one of these blocks is there already. */
static bool mark_blocks(struct reassembly *r, size_t first, size_t count)
{
	size_t i;

	for (i = first; i < first + count; i++) {
		if (r->blocks[i / WORD_BITS] & UINT64_C(1) << i % WORD_BITS) {
			return false;
		}
		r->blocks[i / WORD_BITS] |= UINT64_C(1) << i % WORD_BITS;
	}
	r->received += count;
	return true;
}

static bool add(struct reassembly *r, const uint8_t *packet, const struct piece *piece)
{
	size_t end = piece->offset + piece->length;

	if (piece->length == 0 || piece->header > MAX_HEADER || end > MAX_DATAGRAM ||
	    (!piece->is_last && piece->length % 8 != 0) || (r->total != 0 && (piece->is_last || end > r->total)) ||
	    (piece->is_last && end < r->furthest) ||
	    !mark_blocks(r, piece->offset / 8, (piece->length + 7) / 8)) {
		return false;
	}
	memcpy(r->data + piece->offset, piece->data, piece->length);
	r->furthest = end > r->furthest ? end : r->furthest;
	if (piece->is_last) {
		r->total = end;
	}
	if (piece->offset == 0) {
		r->header = piece->header;
		memcpy(r->data - r->header, packet, r->header);
		r->data[-(ptrdiff_t)r->header + (ptrdiff_t)piece->at] = piece->next_header;
	}
	return true;
}

enum reassembly_state reassembly_add(struct reassembly *r, const uint8_t *packet, const struct ip *fragment,
	uint8_t **datagram, struct ip *ip)
{
	struct piece piece = piece_of(packet, fragment);
	size_t length;

	if (!add(r, packet, &piece)) {
		r->is_used = false;
		return REASSEMBLY_BROKEN;
	}
	if (r->header == 0 || r->total == 0 || r->received < (r->total + 7) / 8) {
		return REASSEMBLY_WAITING;
	}
	r->is_used = false;
	length = r->header + r->total;
	*datagram = r->data - r->header;
	if (length > MAX_DATAGRAM) {
		return REASSEMBLY_BROKEN;
	}
	ip_set_length(*datagram, fragment, length);
	if (!fragment->is_ipv6) {
		put16(*datagram + 6, 0);
		ipv4_set_checksum(*datagram);
	}
	/* What was cut twice stays so. */
	return ip_parse(*datagram, length, ip) && !ip->is_fragment ? REASSEMBLY_WHOLE : REASSEMBLY_BROKEN;
}
