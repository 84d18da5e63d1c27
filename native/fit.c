/* struct mmsghdr */
#define _GNU_SOURCE

#include "engine-internal.h"

#include "icmp.h"
#include "path.h"

/* Between two questions to the kernel about one SA's path. */
#define ASK_INTERVAL_MS 2000
/* ICMP errors a second (RFC 1812, 4.3.2.8; RFC 4443, 2.4 f). */
#define ICMP_RATE 1000

/* RFC 4301, 8.2: as long as nothing is known of the path, the TUN device's MTU decides. */
static uint32_t ask_path(struct engine *engine, struct sa *sa)
{
	bool is_ipv4 = address_is_ipv4(&sa->destination);

	if (sa->path_mtu == 0 || sa->path_epoch != engine->path_epoch ||
	    engine->now_ms - sa->path_asked_ms >= ASK_INTERVAL_MS) {
		sa->path_asked_ms = engine->now_ms;
		sa->path_epoch = engine->path_epoch;
		sa->path_mtu = path_mtu(engine->paths[is_ipv4 ? FAMILY_IPV4 : FAMILY_IPV6], &sa->destination, sa->mark);
	}
	return sa->path_mtu;
}

size_t fit_largest(struct tun *tun, struct sa *sa, const uint8_t *packet, const struct ip *ip)
{
	uint32_t mtu = tun->engine->is_open ? ask_path(tun->engine, sa) : PATH_UNKNOWN;
	size_t largest = path_largest_inner(sa, packet, ip, mtu);

	return largest < tun->mtu ? largest : tun->mtu;
}

size_t engine_largest_inner(struct engine *engine, struct sa *sa)
{
	uint32_t mtu;

	/* In transport mode it depends on the packet's own headers. */
	if (!engine->is_open || sa->is_transport || sa->inbound) {
		return 0;
	}
	engine->now_ms = engine_now_ms();
	mtu = ask_path(engine, sa);
	return mtu == PATH_UNKNOWN ? 0 : path_largest_inner(sa, NULL, NULL, mtu);
}

void fit_forget_paths(struct engine *engine)
{
	engine->path_epoch++;
}

static bool may_fragment(const uint8_t *packet, const struct ip *ip)
{
	return !ip->is_ipv6 && !((packet[6] << 8 | packet[7]) & IPV4_DF);
}

enum fit fit_decide(const struct engine *engine, const struct sa *sa, const struct flow_key *key, const uint8_t *packet,
	const struct ip *ip, size_t length, size_t largest)
{
	struct flow_key later = *key;

	if (length <= largest) {
		return FIT_WHOLE;
	}
	if (ip->is_ipv6 && length <= IPV6_MIN_MTU) {
		/* Nobody may be told of less (RFC 2473, 7.1). */
		return FIT_FRAGMENTS_AFTER;
	}
	if (engine->fragment == FRAGMENT_NEVER || !may_fragment(packet, ip)) {
		return FIT_TOO_BIG;
	}
	/*
	 * A fragment without ports has to be one the SA is for (RFC 4301, 7), and in transport mode only whole
	 * packets are protected (RFC 4303, 3.3.4).
	 */
	later.has_ports = 0;
	later.source_port = later.destination_port = 0;
	return engine->fragment == FRAGMENT_BEFORE && !sa->is_transport && sa_selectors_match(sa, &later)
		       ? FIT_FRAGMENTS_BEFORE
		       : FIT_FRAGMENTS_AFTER;
}

static bool take_budget(struct engine *engine)
{
	if (engine->now_ms - engine->icmp_since_ms >= 1000) {
		engine->icmp_since_ms = engine->now_ms;
		engine->icmp_count = 0;
	}
	return engine->icmp_count++ < ICMP_RATE;
}

void fit_tell_sender(struct tun *tun, const uint8_t *packet, size_t length, const struct ip *ip, size_t largest)
{
	size_t mtu = ip->is_ipv6 && largest < IPV6_MIN_MTU ? IPV6_MIN_MTU : largest;
	uint8_t message[ICMP_MAX];
	struct virtio_net_hdr none = { 0 };
	struct iovec parts[] = { { &none, sizeof(none) }, { message, 0 } };

	if (!take_budget(tun->engine)) {
		return;
	}
	parts[1].iov_len = icmp_too_big(packet, length, ip, (uint32_t)mtu, message);
	if (parts[1].iov_len != 0) {
		tun->engine->statistics.icmpTooBigSent++;
		write_tun(tun, parts, 2);
	}
}
