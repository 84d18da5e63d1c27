/*
 * What an SA does to bytes: its ciphers, integrity checks, IVs and nonces. It owns the keys. No
 * headers, no padding, no sequence numbers of its own.
 *
 *     esp ─► SPI | sequence | IV | text | ICV     header, text and room for IV and ICV in one piece
 *                                `-----'
 *                        encrypted in place
 *
 *     transform.c       the algorithms, keys, packets
 *     transform-aead.c  GCM, CCM, ChaCha20-Poly1305, GMAC
 *     transform-mac.c   HMAC, CMAC, XCBC and, for AH, GMAC
 */
#ifndef LAGOPUS_TRANSFORM_H_
#define LAGOPUS_TRANSFORM_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#define ESP_HEADER 8
#define TRANSFORM_MAX_IV 16
#define TRANSFORM_MAX_ICV 32
#define TRANSFORM_MAX_ALIGN 16
#define TRANSFORM_MAX_KEY 64
#define TRANSFORM_MAX_CHUNKS 8
#define TRANSFORM_FINGERPRINT 32

/* IANA IKEv2 transform ids, type 1 and type 3. */
enum encryption_id {
	ENCR_NONE = 0,
	ENCR_3DES = 3,
	ENCR_NULL = 11,
	ENCR_AES_CBC = 12,
	ENCR_AES_CTR = 13,
	ENCR_AES_CCM_8 = 14,
	ENCR_AES_CCM_12 = 15,
	ENCR_AES_CCM_16 = 16,
	ENCR_AES_GCM_8 = 18,
	ENCR_AES_GCM_12 = 19,
	ENCR_AES_GCM_16 = 20,
	ENCR_NULL_AUTH_AES_GMAC = 21,
	ENCR_CHACHA20_POLY1305 = 28,
};

enum integrity_id {
	AUTH_NONE = 0,
	AUTH_HMAC_SHA1_96 = 2,
	AUTH_AES_XCBC_96 = 5,
	AUTH_AES_CMAC_96 = 8,
	AUTH_AES_128_GMAC = 9,
	AUTH_AES_192_GMAC = 10,
	AUTH_AES_256_GMAC = 11,
	AUTH_HMAC_SHA2_256_128 = 12,
	AUTH_HMAC_SHA2_384_192 = 13,
	AUTH_HMAC_SHA2_512_256 = 14,
};

struct cipher_algorithm;
struct mac_algorithm;

struct transform {
	uint8_t iv_length;
	uint8_t icv_length;
	/* What text_length has to be a multiple of. */
	uint8_t align;
	bool is_aead;

	/* NULL for AH, and for an AEAD. */
	const struct cipher_algorithm *encryption;
	const struct mac_algorithm *integrity;
	/* As they were given, salt included. */
	uint8_t encryption_key[36];
	uint8_t encryption_key_length;
	uint8_t integrity_key[64];
	uint8_t integrity_key_length;
	EVP_CIPHER_CTX *cipher;
	/* Of an AEAD: the salt, and the IV of the packet at hand. */
	uint8_t nonce[12];
	/* HMAC and CMAC have the first, XCBC and GMAC the second. */
	EVP_MAC_CTX *mac;
	EVP_CIPHER_CTX *mac_cipher;
	/* RFC 3566: K2 and K3. */
	uint8_t xcbc_keys[2][16];
};

/*
 * False for an unknown combination, wrong key lengths, or an algorithm this OpenSSL does not have. Copies
 * the keys. Encryption ENCR_NONE is AH, whose ICV may be asked for; ENCR_NULL is not that.
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

/* A part of what an ICV covers. */
struct chunk {
	const uint8_t *bytes;
	size_t length;
};

/*
 * The ICV of an SA without encryption (AH, RFC 4302, 3.3.3), of transform->icv_length bytes: the caller gives
 * what it covers, with mutable fields and the whole ICV field zero; the high half of an extended sequence
 * number is added here. A GMAC's ICV field begins with its IV (RFC 4543, 4). transform_check_icv() compares
 * in constant time.
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
