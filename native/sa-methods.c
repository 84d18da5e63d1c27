#include "binding.h"

#include <netinet/in.h>
#include <stdlib.h>

#define MIN_NONCE 16
#define MAX_NONCE 64
#define READ_SA_WORDS 9

static bool get_device(napi_env env, const struct engine *engine, napi_value spec, uint8_t *result)
{
	uint32_t device;

	if (!get_u32(env, spec, "device", &device)) {
		return false;
	}
	if (device >= ENGINE_MAX_DEVICES || !engine_has_device(engine, device)) {
		throw_error(env, "device: there is no TUN device %u", device);
		return false;
	}
	*result = (uint8_t)device;
	return true;
}

static bool get_protocol(napi_env env, napi_value spec, uint8_t *result)
{
	uint32_t protocol;

	if (!get_u32(env, spec, "protocol", &protocol)) {
		return false;
	}
	if (protocol != IPPROTO_ESP && protocol != IPPROTO_AH) {
		throw_error(env, "protocol: expected %d or %d", IPPROTO_ESP, IPPROTO_AH);
		return false;
	}
	*result = (uint8_t)protocol;
	return true;
}

static bool get_sa(napi_env env, const struct engine *engine, napi_value spec, struct sa *sa)
{
	uint64_t highest, next;
	uint32_t window;
	bool esn;
	uint8_t *bitmap;
	size_t length;

	return get_device(env, engine, spec, &sa->device) && get_u32(env, spec, "mark", &sa->mark) &&
	       get_u32(env, spec, "group", &sa->group) &&
	       get_bool(env, spec, "isInbound", &sa->inbound) && get_protocol(env, spec, &sa->protocol) &&
	       get_bool(env, spec, "isTransport", &sa->is_transport) && get_u32(env, spec, "spi", &sa->spi) &&
	       get_address(env, spec, "source", &sa->source) &&
	       get_address(env, spec, "destination", &sa->destination) &&
	       get_bool(env, spec, "isUdp", &sa->udp) && get_port(env, spec, "sourcePort", &sa->source_port) &&
	       get_port(env, spec, "destinationPort", &sa->destination_port) &&
	       get_bool(env, spec, "copyDf", &sa->copy_df) && get_bool(env, spec, "copyEcn", &sa->copy_ecn) &&
	       get_bool(env, spec, "copyDscpOut", &sa->copy_dscp_out) &&
	       get_bool(env, spec, "copyDscpIn", &sa->copy_dscp_in) &&
	       get_u64(env, spec, "softBytes", &sa->soft.bytes) && get_u64(env, spec, "softPackets", &sa->soft.packets) &&
	       get_u64(env, spec, "hardBytes", &sa->hard.bytes) && get_u64(env, spec, "hardPackets", &sa->hard.packets) &&
	       get_bool(env, spec, "isEsn", &esn) && get_u64(env, spec, "nextSequence", &next) &&
	       (sequence_init(&sa->sequence, next, esn) ||
		       (throw_error(env, "nextSequence: there is no such number"), false)) &&
	       get_u32(env, spec, "tfcLength", &sa->tfc_length) &&
	       get_selectors(env, spec, "sourceSelectors", &sa->source_selectors) &&
	       get_selectors(env, spec, "destinationSelectors", &sa->destination_selectors) &&
	       get_u32(env, spec, "replayWindow", &window) && get_u64(env, spec, "replayHighest", &highest) &&
	       get_bytes(env, spec, "replayBitmap", &bitmap, &length) &&
	       (replay_init(&sa->replay, window, sa->inbound && esn) ||
		       (throw_error(env, "replayWindow: %u packets cannot be", window), false)) &&
	       (replay_import(&sa->replay, highest, bitmap, length), true);
}

napi_value method_supports(napi_env env, napi_callback_info info)
{
	/* No weak one of any cipher. */
	uint8_t key[TRANSFORM_MAX_KEY];
	struct transform transform = { 0 };
	uint32_t arguments[4];
	napi_value result;
	struct call call;
	int i;

	if (!begin_call(env, info, 4, &call)) {
		return NULL;
	}
	for (i = 0; i < TRANSFORM_MAX_KEY; i++) {
		key[i] = (uint8_t)(7 * i + 1);
	}
	for (i = 0; i < 4; i++) {
		if (napi_get_value_uint32(env, call.args[i], &arguments[i]) != napi_ok) {
			return throw_error(env, "expected four numbers");
		}
	}
	napi_get_boolean(env,
		arguments[1] <= sizeof(key) && arguments[3] <= sizeof(key) &&
			transform_init(&transform, false, arguments[0], key, arguments[1], arguments[2], key, arguments[3]),
		&result);
	transform_free(&transform);
	return result;
}

napi_value method_add_sa(napi_env env, napi_callback_info info)
{
	uint32_t encryption, integrity;
	uint8_t *encryption_key, *integrity_key;
	size_t encryption_key_length, integrity_key_length;
	struct call call;
	struct sa *sa;

	if (!begin_call(env, info, 1, &call) || !get_u32(env, call.args[0], "encryption", &encryption) ||
	    !get_u32(env, call.args[0], "integrity", &integrity) ||
	    !get_bytes(env, call.args[0], "encryptionKey", &encryption_key, &encryption_key_length) ||
	    !get_bytes(env, call.args[0], "integrityKey", &integrity_key, &integrity_key_length)) {
		return NULL;
	}
	sa = calloc(1, sizeof(*sa));
	if (!sa) {
		return throw_error(env, "out of memory");
	}
	if (!get_sa(env, call.engine, call.args[0], sa)) {
		/* Its exception is pending. */
	} else if (!transform_init(&sa->transform, sa->inbound, encryption, encryption_key, encryption_key_length,
			   integrity, integrity_key, integrity_key_length)) {
		throw_error(env, "unknown algorithms or key lengths");
	} else if (!sad_add(engine_sad(call.engine), sa)) {
		throw_error(env, "out of memory");
	} else {
		engine_clear_flows(call.engine);
		return number(env, sa->handle);
	}
	sa_free(sa);
	free(sa);
	return NULL;
}

napi_value method_move_sa(napi_env env, napi_callback_info info)
{
	struct address source, destination;
	uint16_t source_port, destination_port;
	uint32_t group;
	struct call call;
	struct sa *sa;
	bool is_udp;

	if (!begin_call(env, info, 2, &call) || !(sa = sa_argument(&call)) ||
	    !get_address(env, call.args[1], "source", &source) ||
	    !get_address(env, call.args[1], "destination", &destination) ||
	    !get_bool(env, call.args[1], "isUdp", &is_udp) ||
	    !get_port(env, call.args[1], "sourcePort", &source_port) ||
	    !get_port(env, call.args[1], "destinationPort", &destination_port) ||
	    !get_u32(env, call.args[1], "group", &group)) {
		return NULL;
	}
	sa->source = source;
	sa->destination = destination;
	sa->udp = is_udp;
	sa->source_port = source_port;
	sa->destination_port = destination_port;
	sa->group = group;
	sa->peer_reported_ms = 0;
	engine_clear_flows(call.engine);
	return NULL;
}

static void read_sa(const struct sa *sa, uint64_t *words)
{
	const struct sa_counters *c = &sa->counters;

	words[0] = c->bytes;
	words[1] = c->packets;
	words[2] = c->last_use_ms == 0 ? UINT64_MAX : engine_now_ms() - c->last_use_ms;
	words[3] = c->replay_drops;
	words[4] = c->integrity_failures;
	words[5] = c->selector_drops;
	words[6] = c->malformed_drops;
	/* 2^32 for none left; with ESN there is no number beyond the last. */
	words[7] = sa->sequence.next + (sa->sequence.is_used_up && !sa->sequence.esn);
	words[8] = sa->replay.highest;
}

napi_value method_read_sa(napi_env env, napi_callback_info info)
{
	struct call call;
	struct sa *sa;
	uint64_t *words;

	if (begin_call(env, info, 2, &call) && (sa = sa_argument(&call)) &&
	    (words = words_argument(&call, call.args[1], READ_SA_WORDS))) {
		read_sa(sa, words);
	}
	return NULL;
}

napi_value method_remove_sa(napi_env env, napi_callback_info info)
{
	struct call call;
	struct sa *sa;
	uint64_t *words;

	if (begin_call(env, info, 2, &call) && (sa = sa_argument(&call)) &&
	    (words = words_argument(&call, call.args[1], READ_SA_WORDS))) {
		read_sa(sa, words);
		engine_remove_sa(call.engine, sa);
	}
	return NULL;
}

napi_value method_largest_inner(napi_env env, napi_callback_info info)
{
	struct call call;
	struct sa *sa;

	return begin_call(env, info, 1, &call) && (sa = sa_argument(&call))
		       ? number(env, (uint32_t)engine_largest_inner(call.engine, sa))
		       : NULL;
}

napi_value method_read_replay(napi_env env, napi_callback_info info)
{
	napi_value result = NULL;
	struct call call;
	struct sa *sa;
	void *bitmap;

	if (begin_call(env, info, 1, &call) && (sa = sa_argument(&call)) &&
	    napi_create_buffer(env, replay_bitmap_bytes(&sa->replay), &bitmap, &result) == napi_ok) {
		replay_export(&sa->replay, bitmap);
	}
	return result;
}

napi_value method_has_keys(napi_env env, napi_callback_info info)
{
	size_t encryption_length, integrity_length;
	uint8_t *encryption, *integrity;
	napi_value result = NULL;
	struct call call;
	struct sa *sa;

	if (begin_call(env, info, 3, &call) && (sa = sa_argument(&call)) &&
	    bytes_argument(&call, call.args[1], &encryption, &encryption_length) &&
	    bytes_argument(&call, call.args[2], &integrity, &integrity_length)) {
		napi_get_boolean(env,
			transform_has_keys(&sa->transform, encryption, encryption_length, integrity, integrity_length),
			&result);
	}
	return result;
}

napi_value method_fingerprint(napi_env env, napi_callback_info info)
{
	uint8_t digest[TRANSFORM_FINGERPRINT], *nonce;
	napi_value result = NULL;
	struct call call;
	struct sa *sa;
	size_t length;

	if (!begin_call(env, info, 2, &call) || !(sa = sa_argument(&call)) ||
	    !bytes_argument(&call, call.args[1], &nonce, &length)) {
		return NULL;
	}
	if (length < MIN_NONCE || length > MAX_NONCE) {
		return throw_error(env, "expected a nonce of %d to %d bytes", MIN_NONCE, MAX_NONCE);
	}
	if (!transform_fingerprint(&sa->transform, nonce, length, digest)) {
		return throw_error(env, "HMAC failed");
	}
	napi_create_buffer_copy(env, sizeof(digest), digest, NULL, &result);
	return result;
}
