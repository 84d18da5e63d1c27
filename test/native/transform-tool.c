/*
 * The transforms as a filter, built with the sanitizers: for every request, the bytes it gives, or an empty
 * record where it fails. A request is an operation and the fields below, each a record; numbers are
 * 8 bytes.
 *
 *     seal, open       encryption, key, integrity, key, sequence, ESN, SPI to text / to ICV
 *                        -> SPI to ICV, with the IV that is there / SPI to text
 *     encrypt, decrypt encryption, key, IV, additional data, text / text and ICV
 *                        -> text and ICV / text, of an AEAD
 *     icv, check       integrity, key, sequence, ESN, (check: ICV,) length of a piece, message
 *                        -> ICV / the same if it is right
 */
#include "records.h"

#include "../../native/transform-internal.h"

#include <string.h>

struct field {
	uint8_t *bytes;
	size_t length;
};

static struct field field(void)
{
	struct field result;

	result.bytes = get_record(&result.length);
	if (!result.bytes) {
		abort();
	}
	return result;
}

static uint64_t number(void)
{
	struct field f = field();
	uint64_t value = (uint64_t)get32(f.bytes) << 32 | get32(f.bytes + 4);

	free(f.bytes);
	return value;
}

static void answer(bool is_right, uint8_t *bytes, size_t length)
{
	struct iovec part = { bytes, is_right ? length : 0 };

	put_record(&part, 1);
}

/* A transform with keys of its own, as an SA's. */
static void begin(struct transform *transform, bool inbound, uint32_t encryption, uint32_t integrity,
	struct field encryption_key, struct field integrity_key)
{
	*transform = (struct transform){ 0 };
	if (!transform_init(transform, inbound, encryption, encryption_key.bytes, encryption_key.length, integrity,
		    integrity_key.bytes, integrity_key.length)) {
		fprintf(stderr, "no transform of %u and %u\n", encryption, integrity);
		exit(1);
	}
	free(encryption_key.bytes);
	free(integrity_key.bytes);
}

static struct field nothing(void)
{
	return (struct field){ calloc(1, 1), 0 };
}

static void packet(bool is_open)
{
	struct transform transform;
	struct field key, mac_key, in;
	uint32_t encryption, integrity;
	size_t overhead, text;
	uint64_t sequence;
	bool esn, is_right;

	encryption = (uint32_t)number();
	key = field();
	integrity = (uint32_t)number();
	mac_key = field();
	sequence = number();
	esn = number() != 0;
	in = field();
	begin(&transform, is_open, encryption, integrity, key, mac_key);
	overhead = ESP_HEADER + (size_t)transform.iv_length;
	if (is_open) {
		overhead += transform.icv_length;
	}
	if (in.length < overhead) {
		abort();
	}
	text = in.length - overhead;
	if (is_open) {
		is_right = transform_open(&transform, sequence, esn, in.bytes, text);
		answer(is_right, in.bytes, in.length - transform.icv_length);
	} else {
		in.bytes = realloc(in.bytes, in.length + transform.icv_length);
		is_right = transform_seal_with_iv(&transform, sequence, esn, in.bytes, text);
		answer(is_right, in.bytes, in.length + transform.icv_length);
	}
	free(in.bytes);
	transform_free(&transform);
}

static void aead(bool is_decrypt)
{
	struct transform transform;
	struct field key, iv, aad, text;
	uint32_t encryption;
	struct chunk chunk;
	bool is_right;
	size_t length;

	encryption = (uint32_t)number();
	key = field();
	iv = field();
	aad = field();
	text = field();
	begin(&transform, is_decrypt, encryption, 0, key, nothing());
	chunk = (struct chunk){ aad.bytes, aad.length };
	if (is_decrypt) {
		length = text.length - transform.icv_length;
		is_right = aead_decrypt(&transform, iv.bytes, &chunk, aad.length > 0, text.bytes, length, text.bytes + length);
		/* A record for an empty text too. */
		text.bytes = realloc(text.bytes, length + 1);
		memmove(text.bytes + 1, text.bytes, length);
		text.bytes[0] = 1;
		answer(is_right, text.bytes, length + 1);
	} else {
		length = text.length;
		text.bytes = realloc(text.bytes, length + transform.icv_length);
		is_right = aead_encrypt(&transform, iv.bytes, &chunk, aad.length > 0, text.bytes, length, text.bytes + length);
		answer(is_right, text.bytes, length + transform.icv_length);
	}
	free(iv.bytes);
	free(aad.bytes);
	free(text.bytes);
	transform_free(&transform);
}

static void icv(bool is_check)
{
	struct chunk chunks[TRANSFORM_MAX_CHUNKS];
	uint8_t result[TRANSFORM_MAX_ICV];
	struct field key, given = { 0 }, message;
	struct transform transform;
	size_t piece, at, count = 0;
	uint32_t integrity;
	uint64_t sequence;
	bool esn, is_right;

	integrity = (uint32_t)number();
	key = field();
	sequence = number();
	esn = number() != 0;
	if (is_check) {
		given = field();
	}
	piece = number();
	message = field();
	begin(&transform, is_check, 0, integrity, nothing(), key);
	for (at = 0; at < message.length && count < TRANSFORM_MAX_CHUNKS; at += chunks[count++].length) {
		chunks[count] = (struct chunk){ message.bytes + at, message.length - at };
		if (count < TRANSFORM_MAX_CHUNKS - 1 && chunks[count].length > piece) {
			chunks[count].length = piece;
		}
	}
	if (is_check) {
		memcpy(result, given.bytes, transform.icv_length);
		is_right = transform_check_icv(&transform, chunks, count, sequence, esn, result);
	} else {
		is_right = transform_icv(&transform, chunks, count, sequence, esn, result);
	}
	answer(is_right, result, transform.icv_length);
	free(given.bytes);
	free(message.bytes);
	transform_free(&transform);
}

int main(void)
{
	size_t length;
	uint8_t *name;

	while ((name = get_record(&length)) != NULL) {
		switch (length > 0 ? name[0] : 0) {
		case 's':
		case 'o':
			packet(name[0] == 'o');
			break;
		case 'e':
		case 'd':
			aead(name[0] == 'd');
			break;
		case 'i':
		case 'c':
			icv(name[0] == 'c');
			break;
		default:
			abort();
		}
		free(name);
	}
	return 0;
}
