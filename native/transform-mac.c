#include "transform-internal.h"

#include "bytes.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>

enum mac_kind { MAC_HMAC, MAC_CMAC, MAC_XCBC, MAC_GMAC };

struct mac_algorithm {
	uint32_t id;
	enum mac_kind kind;
	/* HMAC's digest, the others' cipher. */
	const char *name;
	uint8_t key_length;
	uint8_t icv_length;
};

static const struct mac_algorithm algorithms[] = {
	/* RFC 2404 and RFC 4868 */
	{ AUTH_HMAC_SHA1_96, MAC_HMAC, "SHA1", 20, 12 },
	{ AUTH_HMAC_SHA2_256_128, MAC_HMAC, "SHA256", 32, 16 },
	{ AUTH_HMAC_SHA2_384_192, MAC_HMAC, "SHA384", 48, 24 },
	{ AUTH_HMAC_SHA2_512_256, MAC_HMAC, "SHA512", 64, 32 },
	/* RFC 3566 and RFC 4494 */
	{ AUTH_AES_XCBC_96, MAC_XCBC, "AES-128-CBC", 16, 12 },
	{ AUTH_AES_CMAC_96, MAC_CMAC, "AES-128-CBC", 16, 12 },
	/* RFC 4543, 4: the ICV field holds the IV too. */
	{ AUTH_AES_128_GMAC, MAC_GMAC, "AES-128-GCM", 16 + GMAC_SALT, COUNTER_IV + 16 },
	{ AUTH_AES_192_GMAC, MAC_GMAC, "AES-192-GCM", 24 + GMAC_SALT, COUNTER_IV + 16 },
	{ AUTH_AES_256_GMAC, MAC_GMAC, "AES-256-GCM", 32 + GMAC_SALT, COUNTER_IV + 16 },
};

static const struct mac_algorithm *find(uint32_t id)
{
	size_t i;

	for (i = 0; i < sizeof(algorithms) / sizeof(*algorithms); i++) {
		if (algorithms[i].id == id) {
			return &algorithms[i];
		}
	}
	return NULL;
}

bool mac_is_for_ah_only(uint32_t id)
{
	const struct mac_algorithm *algorithm = find(id);

	return algorithm && algorithm->kind == MAC_GMAC;
}

static bool init_evp_mac(struct transform *t, const char *mac, const char *parameter)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(parameter, (char *)t->integrity->name, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *fetched = EVP_MAC_fetch(NULL, mac, NULL);

	t->mac = fetched ? EVP_MAC_CTX_new(fetched) : NULL;
	/* The context holds its own reference. */
	EVP_MAC_free(fetched);
	return t->mac && EVP_MAC_init(t->mac, t->integrity_key, t->integrity_key_length, params) == 1;
}

/* RFC 3566, 4: three keys made of one. K1 stays in a CBC context, which is what the MAC is but for its end. */
static bool init_xcbc(struct transform *t)
{
	EVP_CIPHER_CTX *ecb = new_cipher("AES-128-ECB", t->integrity_key, AES_BLOCK, true);
	uint8_t keys[3][AES_BLOCK];
	bool is_done;
	int n;

	memset(keys[0], 1, AES_BLOCK);
	memset(keys[1], 2, AES_BLOCK);
	memset(keys[2], 3, AES_BLOCK);
	is_done = ecb && EVP_EncryptUpdate(ecb, keys[0], &n, keys[0], sizeof(keys)) == 1 &&
		  (t->mac_cipher = new_cipher(t->integrity->name, keys[0], AES_BLOCK, true)) != NULL;
	memcpy(t->xcbc_keys, keys[1], sizeof(t->xcbc_keys));
	OPENSSL_cleanse(keys, sizeof(keys));
	EVP_CIPHER_CTX_free(ecb);
	return is_done;
}

bool mac_init(struct transform *t, uint32_t id, const uint8_t *key, size_t key_length)
{
	t->integrity = find(id);
	if (!t->integrity || key_length != t->integrity->key_length) {
		return false;
	}
	memcpy(t->integrity_key, key, key_length);
	t->integrity_key_length = (uint8_t)key_length;
	t->icv_length = t->integrity->icv_length;
	switch (t->integrity->kind) {
	case MAC_HMAC:
		return init_evp_mac(t, "HMAC", OSSL_MAC_PARAM_DIGEST);
	case MAC_CMAC:
		return init_evp_mac(t, "CMAC", OSSL_MAC_PARAM_CIPHER);
	case MAC_XCBC:
		return init_xcbc(t);
	default:
		t->mac_cipher = new_cipher(t->integrity->name, key, key_length - GMAC_SALT, true);
		return t->mac_cipher != NULL;
	}
}

static bool evp_mac(struct transform *t, const struct chunk *chunks, size_t count, uint8_t *digest)
{
	size_t written, i;

	if (EVP_MAC_init(t->mac, NULL, 0, NULL) != 1) {
		return false;
	}
	for (i = 0; i < count; i++) {
		if (EVP_MAC_update(t->mac, chunks[i].bytes, chunks[i].length) != 1) {
			return false;
		}
	}
	return EVP_MAC_final(t->mac, digest, &written, EVP_MAX_MD_SIZE) == 1;
}

/* CBC with K1 over whole blocks, of which only the last is of interest. */
static bool xcbc_blocks(struct transform *t, const uint8_t *bytes, size_t length, uint8_t *last)
{
	uint8_t scratch[512];
	size_t n;
	int out;

	for (; length > 0; bytes += n, length -= n) {
		n = length < sizeof(scratch) ? length : sizeof(scratch);
		if (EVP_EncryptUpdate(t->mac_cipher, scratch, &out, bytes, (int)n) != 1) {
			return false;
		}
		memcpy(last, scratch + n - AES_BLOCK, AES_BLOCK);
	}
	return true;
}

/* RFC 3566, 4. One block is held back: the last one is treated differently. */
static bool xcbc(struct transform *t, const struct chunk *chunks, size_t count, uint8_t *digest)
{
	static const uint8_t zero[AES_BLOCK];
	uint8_t held[AES_BLOCK];
	const uint8_t *bytes, *key;
	size_t have = 0, length, n, i;

	if (EVP_CipherInit_ex2(t->mac_cipher, NULL, NULL, zero, -1, NULL) != 1) {
		return false;
	}
	for (i = 0; i < count; i++) {
		bytes = chunks[i].bytes;
		length = chunks[i].length;
		while (length > 0) {
			if (have == AES_BLOCK) {
				if (!xcbc_blocks(t, held, AES_BLOCK, digest)) {
					return false;
				}
				have = 0;
			}
			if (have == 0 && length > AES_BLOCK) {
				n = (length - 1) / AES_BLOCK * AES_BLOCK;
				if (!xcbc_blocks(t, bytes, n, digest)) {
					return false;
				}
			} else {
				n = length < AES_BLOCK - have ? length : AES_BLOCK - have;
				memcpy(held + have, bytes, n);
				have += n;
			}
			bytes += n;
			length -= n;
		}
	}
	key = t->xcbc_keys[0];
	if (have < AES_BLOCK) {
		key = t->xcbc_keys[1];
		held[have++] = 0x80;
		memset(held + have, 0, AES_BLOCK - have);
	}
	for (i = 0; i < AES_BLOCK; i++) {
		held[i] ^= key[i];
	}
	return xcbc_blocks(t, held, AES_BLOCK, digest);
}

/* RFC 4543, 4: GCM with nothing but additional data. */
static bool gmac(struct transform *t, const struct chunk *chunks, size_t count, const uint8_t *iv, uint8_t *digest)
{
	uint8_t nonce[GMAC_SALT + COUNTER_IV];
	size_t i;
	int n;

	memcpy(nonce, t->integrity_key + t->integrity_key_length - GMAC_SALT, GMAC_SALT);
	memcpy(nonce + GMAC_SALT, iv, COUNTER_IV);
	if (EVP_CipherInit_ex2(t->mac_cipher, NULL, NULL, nonce, -1, NULL) != 1) {
		return false;
	}
	for (i = 0; i < count; i++) {
		if (EVP_EncryptUpdate(t->mac_cipher, NULL, &n, chunks[i].bytes, (int)chunks[i].length) != 1) {
			return false;
		}
	}
	memcpy(digest, iv, COUNTER_IV);
	return EVP_EncryptFinal_ex(t->mac_cipher, digest + COUNTER_IV, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(t->mac_cipher, EVP_CTRL_AEAD_GET_TAG, 16, digest + COUNTER_IV) == 1;
}

/* At least t->icv_length bytes of `digest` are the ICV; `iv` is GMAC's. */
static bool compute(struct transform *t, const struct chunk *chunks, size_t count, uint64_t sequence, bool esn,
	const uint8_t *iv, uint8_t *digest)
{
	struct chunk all[TRANSFORM_MAX_CHUNKS + 1];
	uint8_t high[4];

	if (count > TRANSFORM_MAX_CHUNKS) {
		return false;
	}
	if (esn) {
		/* RFC 4303, 2.2.1, and RFC 4302, 2.5.1: behind everything else, and not sent. */
		memcpy(all, chunks, count * sizeof(*chunks));
		put32(high, (uint32_t)(sequence >> 32));
		all[count++] = (struct chunk){ high, sizeof(high) };
		chunks = all;
	}
	switch (t->integrity->kind) {
	case MAC_XCBC:
		return xcbc(t, chunks, count, digest);
	case MAC_GMAC:
		return gmac(t, chunks, count, iv, digest);
	default:
		return evp_mac(t, chunks, count, digest);
	}
}

bool transform_icv(struct transform *t, const struct chunk *chunks, size_t count, uint64_t sequence, bool esn,
	uint8_t *icv)
{
	uint8_t digest[EVP_MAX_MD_SIZE], iv[COUNTER_IV];

	put64(iv, sequence);
	if (!compute(t, chunks, count, sequence, esn, iv, digest)) {
		return false;
	}
	memcpy(icv, digest, t->icv_length);
	return true;
}

bool transform_check_icv(struct transform *t, const struct chunk *chunks, size_t count, uint64_t sequence, bool esn,
	const uint8_t *icv)
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	return compute(t, chunks, count, sequence, esn, icv, digest) && CRYPTO_memcmp(digest, icv, t->icv_length) == 0;
}
