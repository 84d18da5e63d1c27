/* What the files of a transform share. */
#ifndef LAGOPUS_TRANSFORM_INTERNAL_H_
#define LAGOPUS_TRANSFORM_INTERNAL_H_

#include "transform.h"

#define AES_BLOCK 16
/* Of the AEADs, of CTR and of GMAC. */
#define COUNTER_IV 8
#define GMAC_SALT 4

enum cipher_kind {
	CIPHER_NULL,
	CIPHER_CBC,
	CIPHER_CTR,
	/* GCM and ChaCha20-Poly1305: the same calls. */
	CIPHER_AEAD,
	CIPHER_CCM,
	CIPHER_GMAC,
};

struct cipher_algorithm {
	uint32_t id;
	enum cipher_kind kind;
	/* OpenSSL's; %u is the key's length in bits. NULL for none. */
	const char *name;
	/* Bytes; all AES lengths in between where they differ. */
	uint8_t min_key;
	uint8_t max_key;
	uint8_t salt_length;
	uint8_t iv_length;
	uint8_t icv_length;
	/* At least 4, for the ICV's place (RFC 4303, 2.4). */
	uint8_t align;
};

/* Of these lengths, salt not counted, in bytes; the name's %u is the length in bits. The caller frees it. */
EVP_CIPHER_CTX *new_cipher(const char *name, const uint8_t *key, size_t key_length, bool encrypt);

/* Seals with the IV that is in the packet. Tests do. */
bool transform_seal_with_iv(struct transform *transform, uint64_t sequence, bool esn, uint8_t *esp, size_t text_length);

/* transform-aead.c: text in place, with the IV and any AAD. */
bool aead_init(struct transform *transform, bool inbound, size_t key_length);
bool aead_encrypt(struct transform *transform, const uint8_t *iv, const struct chunk *aad, size_t count, uint8_t *text,
	size_t length, uint8_t *icv);
bool aead_decrypt(struct transform *transform, const uint8_t *iv, const struct chunk *aad, size_t count, uint8_t *text,
	size_t length, const uint8_t *icv);

/* transform-mac.c */
bool mac_init(struct transform *transform, uint32_t id, const uint8_t *key, size_t key_length);
/* What an integrity algorithm may be used for: GMAC has no place for its IV in ESP (RFC 4543, 3). */
bool mac_is_for_ah_only(uint32_t id);

#endif
