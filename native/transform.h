/*
 * What an SA does to bytes: its ciphers, integrity checks, IVs and nonces. It owns the keys. No
 * headers, no padding, no sequence numbers of its own.
 *
 *     esp ─► SPI | sequence | IV | text | ICV     header, text and room for IV and ICV in one piece
 *                                `-----'
 *                        encrypted in place
 */
#ifndef LAGOPUS_TRANSFORM_H_
#define LAGOPUS_TRANSFORM_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#define ESP_HEADER 8
#define TRANSFORM_MAX_IV 16
#define TRANSFORM_MAX_ICV 16
#define TRANSFORM_MAX_ALIGN 16
#define TRANSFORM_FINGERPRINT 32

/* IANA IKEv2 transform ids. */
#define ENCR_AES_CBC 12
#define ENCR_AES_GCM_16 20
#define AUTH_HMAC_SHA1_96 2
#define AUTH_HMAC_SHA2_256_128 12

struct transform {
	uint8_t iv_length;
	uint8_t icv_length;
	/* What text_length has to be a multiple of. */
	uint8_t align;
	bool is_aead;

	/* Keys as they were given, salt included. */
	uint8_t encryption_key[36];
	uint8_t encryption_key_length;
	uint8_t integrity_key[32];
	uint8_t integrity_key_length;
	EVP_CIPHER_CTX *cipher;
	EVP_MAC_CTX *mac;
};

/*
 * False for an unknown combination or wrong key lengths. Copies the keys. Encryption 0 is AH, whose ICV may
 * be asked for; ENCR_NULL is not 0.
 */
bool transform_init(struct transform *transform, bool inbound, uint32_t encryption, const uint8_t *encryption_key,
	size_t encryption_key_length, uint32_t integrity, const uint8_t *integrity_key, size_t integrity_key_length);

/* Wipes the keys. */
void transform_free(struct transform *transform);

/*
 * Encrypts the text of a packet in place and fills in IV and ICV. `sequence` is the whole sequence number,
 * of which the header has the low half; with `esn` the high half is authenticated too (RFC 4303, 2.2.1).
 * No number may come twice: counter-based IVs are made of it.
 */
bool transform_seal(struct transform *transform, uint64_t sequence, bool esn, uint8_t *esp, size_t text_length);

/* Verifies the ICV and decrypts the text in place. False if it was not the peer's. */
bool transform_open(struct transform *transform, uint64_t sequence, bool esn, uint8_t *esp, size_t text_length);

/* A part of what an AH packet's ICV covers. */
struct chunk {
	const uint8_t *bytes;
	size_t length;
};

/*
 * The ICV of an SA without encryption (AH, RFC 4302, 3.3.3), of transform->icv_length bytes: the caller gives
 * what it covers, with mutable fields and the ICV itself zero; the high half of an extended sequence number
 * is added here. transform_check_icv() compares in constant time.
 */
bool transform_icv(struct transform *transform, const struct chunk *chunks, size_t count, uint64_t sequence, bool esn,
	uint8_t *icv);
bool transform_check_icv(struct transform *transform, const struct chunk *chunks, size_t count, uint64_t sequence,
	bool esn, const uint8_t *icv);

/* In constant time. */
bool transform_has_keys(const struct transform *transform, const uint8_t *encryption_key,
	size_t encryption_key_length, const uint8_t *integrity_key, size_t integrity_key_length);

/* HMAC-SHA-256 over the keys, as the contract has it (SaState.key_fingerprint). */
bool transform_fingerprint(const struct transform *transform, const uint8_t *nonce, size_t nonce_length,
	uint8_t *digest);

#endif
