#include "transform-internal.h"

#include "bytes.h"

#include <stdio.h>

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

static const struct cipher_algorithm algorithms[] = {
	/* RFC 2451 and RFC 2410 */
	{ ENCR_3DES, CIPHER_CBC, "DES-EDE3-CBC", 24, 24, 0, 8, 0, 8 },
	{ ENCR_NULL, CIPHER_NULL, NULL, 0, 0, 0, 0, 0, 4 },
	/* RFC 3602 and RFC 3686 */
	{ ENCR_AES_CBC, CIPHER_CBC, "AES-%u-CBC", 16, 32, 0, AES_BLOCK, 0, AES_BLOCK },
	{ ENCR_AES_CTR, CIPHER_CTR, "AES-%u-CTR", 16, 32, 4, COUNTER_IV, 0, 4 },
	/* RFC 4309 */
	{ ENCR_AES_CCM_8, CIPHER_CCM, "AES-%u-CCM", 16, 32, 3, COUNTER_IV, 8, 4 },
	{ ENCR_AES_CCM_12, CIPHER_CCM, "AES-%u-CCM", 16, 32, 3, COUNTER_IV, 12, 4 },
	{ ENCR_AES_CCM_16, CIPHER_CCM, "AES-%u-CCM", 16, 32, 3, COUNTER_IV, 16, 4 },
	/* RFC 4106 */
	{ ENCR_AES_GCM_8, CIPHER_AEAD, "AES-%u-GCM", 16, 32, 4, COUNTER_IV, 8, 4 },
	{ ENCR_AES_GCM_12, CIPHER_AEAD, "AES-%u-GCM", 16, 32, 4, COUNTER_IV, 12, 4 },
	{ ENCR_AES_GCM_16, CIPHER_AEAD, "AES-%u-GCM", 16, 32, 4, COUNTER_IV, 16, 4 },
	/* RFC 4543, 3, and RFC 7634 */
	{ ENCR_NULL_AUTH_AES_GMAC, CIPHER_GMAC, "AES-%u-GCM", 16, 32, GMAC_SALT, COUNTER_IV, 16, 4 },
	{ ENCR_CHACHA20_POLY1305, CIPHER_AEAD, "ChaCha20-Poly1305", 32, 32, 4, COUNTER_IV, 16, 4 },
};

static const struct cipher_algorithm *find(uint32_t id)
{
	size_t i;

	for (i = 0; i < sizeof(algorithms) / sizeof(*algorithms); i++) {
		if (algorithms[i].id == id) {
			return &algorithms[i];
		}
	}
	return NULL;
}

EVP_CIPHER_CTX *new_cipher(const char *format, const uint8_t *key, size_t key_length, bool encrypt)
{
	char name[32];
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *context;

	snprintf(name, sizeof(name), format, (unsigned int)key_length * 8);
	cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	context = cipher ? EVP_CIPHER_CTX_new() : NULL;
	/* Where it means nothing, turned off padding only costs with every packet. */
	if (context && (EVP_CipherInit_ex2(context, cipher, key, NULL, encrypt, NULL) != 1 ||
			       (EVP_CIPHER_get_block_size(cipher) > 1 && EVP_CIPHER_CTX_set_padding(context, 0) != 1))) {
		EVP_CIPHER_CTX_free(context);
		context = NULL;
	}
	/* The context holds its own reference. */
	EVP_CIPHER_free(cipher);
	return context;
}

static bool init_encryption(struct transform *t, bool inbound, const uint8_t *key, size_t length)
{
	const struct cipher_algorithm *algorithm = t->encryption;
	size_t key_length = length - algorithm->salt_length;

	if (length < algorithm->salt_length || key_length < algorithm->min_key || key_length > algorithm->max_key ||
	    key_length % 8 != 0) {
		return false;
	}
	if (length > 0) {
		memcpy(t->encryption_key, key, length);
	}
	t->encryption_key_length = (uint8_t)length;
	t->iv_length = algorithm->iv_length;
	t->icv_length = algorithm->icv_length;
	t->align = algorithm->align;
	t->is_aead = algorithm->icv_length > 0;
	if (algorithm->kind == CIPHER_NULL) {
		return true;
	}
	if (t->is_aead) {
		return aead_init(t, inbound, key_length);
	}
	/* CTR decrypts by encrypting. */
	t->cipher = new_cipher(algorithm->name, key, key_length, !inbound || algorithm->kind == CIPHER_CTR);
	return t->cipher != NULL;
}

bool transform_init(struct transform *t, bool inbound, uint32_t encryption, const uint8_t *encryption_key,
	size_t encryption_key_length, uint32_t integrity, const uint8_t *integrity_key, size_t integrity_key_length)
{
	if (encryption == ENCR_NONE) {
		return encryption_key_length == 0 && mac_init(t, integrity, integrity_key, integrity_key_length);
	}
	t->encryption = find(encryption);
	if (!t->encryption || !init_encryption(t, inbound, encryption_key, encryption_key_length)) {
		return false;
	}
	if (t->is_aead) {
		return integrity == AUTH_NONE && integrity_key_length == 0;
	}
	/* Never without integrity. */
	return !mac_is_for_ah_only(integrity) && mac_init(t, integrity, integrity_key, integrity_key_length);
}

void transform_free(struct transform *t)
{
	EVP_CIPHER_CTX_free(t->cipher);
	EVP_CIPHER_CTX_free(t->mac_cipher);
	EVP_MAC_CTX_free(t->mac);
	OPENSSL_cleanse(t, sizeof(*t));
}

/* What an AEAD authenticates of a packet besides its text: two parts at most. */
struct associated {
	struct chunk chunks[2];
	size_t count;
	uint8_t header[ESP_HEADER + 4];
};

/* RFC 4106, 5, and alike RFC 4309, RFC 7634: SPI and sequence number, whole. RFC 4543, 3.3: everything. */
static void associate(struct associated *aad, const struct transform *t, uint64_t sequence, bool esn,
	const uint8_t *esp, size_t length)
{
	size_t behind = t->encryption->kind == CIPHER_GMAC ? COUNTER_IV + length : 0;

	if (!esn) {
		aad->chunks[0] = (struct chunk){ esp, ESP_HEADER + behind };
		aad->count = 1;
		return;
	}
	memcpy(aad->header, esp, 4);
	put64(aad->header + 4, sequence);
	aad->chunks[0] = (struct chunk){ aad->header, sizeof(aad->header) };
	aad->chunks[1] = (struct chunk){ esp + ESP_HEADER, behind };
	aad->count = behind > 0 ? 2 : 1;
}

/* The cipher of an SA with an integrity algorithm of its own, over the text in place. */
static bool run_cipher(struct transform *t, const uint8_t *iv, uint8_t *text, size_t length)
{
	uint8_t block[AES_BLOCK] = { 0 };
	int n;

	switch (t->encryption->kind) {
	case CIPHER_NULL:
		return true;
	case CIPHER_CTR:
		/* RFC 3686, 4: nonce, IV, and a block counter that begins with 1. */
		memcpy(block, t->encryption_key + t->encryption_key_length - 4, 4);
		memcpy(block + 4, iv, COUNTER_IV);
		block[AES_BLOCK - 1] = 1;
		iv = block;
		break;
	default:
		break;
	}
	return EVP_CipherInit_ex2(t->cipher, NULL, NULL, iv, -1, NULL) == 1 &&
	       EVP_CipherUpdate(t->cipher, text, &n, text, (int)length) == 1;
}

bool transform_seal_with_iv(struct transform *t, uint64_t sequence, bool esn, uint8_t *esp, size_t length)
{
	uint8_t *iv = esp + ESP_HEADER, *text = iv + t->iv_length;
	/* RFC 4303, 2.8 */
	struct chunk covered = { esp, ESP_HEADER + t->iv_length + length };
	struct associated aad;

	if (!t->is_aead) {
		return run_cipher(t, iv, text, length) && transform_icv(t, &covered, 1, sequence, esn, text + length);
	}
	associate(&aad, t, sequence, esn, esp, length);
	return aead_encrypt(t, iv, aad.chunks, aad.count, text, t->encryption->kind == CIPHER_GMAC ? 0 : length,
		text + length);
}

bool transform_seal(struct transform *t, uint64_t sequence, bool esn, uint8_t *esp, size_t length)
{
	if (t->encryption->kind == CIPHER_CBC) {
		/* RFC 3602, 2.1: unpredictable. */
		if (RAND_bytes(esp + ESP_HEADER, t->iv_length) != 1) {
			return false;
		}
	} else if (t->iv_length > 0) {
		/* RFC 4106, 3.1: never twice under one key, which the sequence number is not either. */
		put64(esp + ESP_HEADER, sequence);
	}
	return transform_seal_with_iv(t, sequence, esn, esp, length);
}

bool transform_open(struct transform *t, uint64_t sequence, bool esn, uint8_t *esp, size_t length)
{
	uint8_t *iv = esp + ESP_HEADER, *text = iv + t->iv_length;
	struct chunk covered = { esp, ESP_HEADER + t->iv_length + length };
	struct associated aad;

	if (!t->is_aead) {
		return transform_check_icv(t, &covered, 1, sequence, esn, text + length) &&
		       run_cipher(t, iv, text, length);
	}
	associate(&aad, t, sequence, esn, esp, length);
	return aead_decrypt(t, iv, aad.chunks, aad.count, text, t->encryption->kind == CIPHER_GMAC ? 0 : length,
		text + length);
}

bool transform_has_keys(const struct transform *t, const uint8_t *encryption_key, size_t encryption_key_length,
	const uint8_t *integrity_key, size_t integrity_key_length)
{
	return encryption_key_length == t->encryption_key_length && integrity_key_length == t->integrity_key_length &&
	       CRYPTO_memcmp(encryption_key, t->encryption_key, encryption_key_length) == 0 &&
	       CRYPTO_memcmp(integrity_key, t->integrity_key, integrity_key_length) == 0;
}

static uint8_t *put_key(uint8_t *to, const uint8_t *key, uint8_t length)
{
	put16(to, length);
	memcpy(to + 2, key, length);
	return to + 2 + length;
}

bool transform_fingerprint(const struct transform *t, const uint8_t *nonce, size_t nonce_length, uint8_t *digest)
{
	uint8_t data[2 + sizeof(t->encryption_key) + 2 + sizeof(t->integrity_key)];
	uint8_t *end = put_key(data, t->encryption_key, t->encryption_key_length);
	bool is_done;

	end = put_key(end, t->integrity_key, t->integrity_key_length);
	is_done = HMAC(EVP_sha256(), nonce, (int)nonce_length, data, (size_t)(end - data), digest, NULL) != NULL;
	OPENSSL_cleanse(data, sizeof(data));
	return is_done;
}
