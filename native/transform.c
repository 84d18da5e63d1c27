#include "transform.h"

#include "bytes.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#define GCM_SALT 4
#define GCM_IV 8
#define AES_BLOCK 16

static bool init_cipher(struct transform *t, bool inbound, const EVP_CIPHER *algorithm)
{
	t->cipher = EVP_CIPHER_CTX_new();
	return t->cipher && EVP_CipherInit_ex2(t->cipher, algorithm, t->encryption_key, NULL, !inbound, NULL) == 1;
}

static bool init_mac(struct transform *t, const char *digest)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	t->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	/* The context holds its own reference. */
	EVP_MAC_free(hmac);
	return t->mac && EVP_MAC_init(t->mac, t->integrity_key, t->integrity_key_length, params) == 1;
}

static bool init_integrity(struct transform *t, uint32_t integrity, const uint8_t *key, size_t key_length)
{
	bool is_sha1 = integrity == AUTH_HMAC_SHA1_96;

	if (!(is_sha1 && key_length == 20) && !(integrity == AUTH_HMAC_SHA2_256_128 && key_length == 32)) {
		return false;
	}
	memcpy(t->integrity_key, key, key_length);
	t->integrity_key_length = (uint8_t)key_length;
	t->icv_length = is_sha1 ? 12 : 16;
	return init_mac(t, is_sha1 ? "SHA1" : "SHA256");
}

bool transform_init(struct transform *t, bool inbound, uint32_t encryption, const uint8_t *encryption_key,
	size_t encryption_key_length, uint32_t integrity, const uint8_t *integrity_key, size_t integrity_key_length)
{
	size_t salt = encryption == ENCR_AES_GCM_16 ? GCM_SALT : 0;

	if (encryption == 0) {
		return encryption_key_length == 0 && init_integrity(t, integrity, integrity_key, integrity_key_length);
	}
	if ((encryption != ENCR_AES_CBC && encryption != ENCR_AES_GCM_16) ||
	    (encryption_key_length != 16 + salt && encryption_key_length != 32 + salt)) {
		return false;
	}
	memcpy(t->encryption_key, encryption_key, encryption_key_length);
	t->encryption_key_length = (uint8_t)encryption_key_length;
	t->is_aead = encryption == ENCR_AES_GCM_16;
	if (t->is_aead) {
		t->iv_length = GCM_IV;
		t->icv_length = 16;
		t->align = 4;
		return integrity == 0 && integrity_key_length == 0 &&
		       init_cipher(t, inbound, encryption_key_length == 20 ? EVP_aes_128_gcm() : EVP_aes_256_gcm());
	}
	t->iv_length = AES_BLOCK;
	t->align = AES_BLOCK;
	return init_cipher(t, inbound, encryption_key_length == 16 ? EVP_aes_128_cbc() : EVP_aes_256_cbc()) &&
	       EVP_CIPHER_CTX_set_padding(t->cipher, 0) == 1 &&
	       init_integrity(t, integrity, integrity_key, integrity_key_length);
}

void transform_free(struct transform *t)
{
	EVP_CIPHER_CTX_free(t->cipher);
	EVP_MAC_CTX_free(t->mac);
	OPENSSL_cleanse(t, sizeof(*t));
}

static bool compute_icv(struct transform *t, const struct chunk *chunks, size_t count, uint64_t sequence, bool esn,
	uint8_t *digest)
{
	uint8_t high[4];
	size_t written, i;

	if (EVP_MAC_init(t->mac, NULL, 0, NULL) != 1) {
		return false;
	}
	for (i = 0; i < count; i++) {
		if (EVP_MAC_update(t->mac, chunks[i].bytes, chunks[i].length) != 1) {
			return false;
		}
	}
	put32(high, (uint32_t)(sequence >> 32));
	return (!esn || EVP_MAC_update(t->mac, high, sizeof(high)) == 1) &&
	       EVP_MAC_final(t->mac, digest, &written, EVP_MAX_MD_SIZE) == 1;
}

bool transform_icv(struct transform *t, const struct chunk *chunks, size_t count, uint64_t sequence, bool esn,
	uint8_t *icv)
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	if (!compute_icv(t, chunks, count, sequence, esn, digest)) {
		return false;
	}
	memcpy(icv, digest, t->icv_length);
	return true;
}

bool transform_check_icv(struct transform *t, const struct chunk *chunks, size_t count, uint64_t sequence, bool esn,
	const uint8_t *icv)
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	return compute_icv(t, chunks, count, sequence, esn, digest) && CRYPTO_memcmp(digest, icv, t->icv_length) == 0;
}

static bool gcm_start(struct transform *t, const uint8_t *iv)
{
	uint8_t nonce[GCM_SALT + GCM_IV];

	memcpy(nonce, t->encryption_key + t->encryption_key_length - GCM_SALT, GCM_SALT);
	memcpy(nonce + GCM_SALT, iv, GCM_IV);
	return EVP_CipherInit_ex2(t->cipher, NULL, NULL, nonce, -1, NULL) == 1;
}

/* RFC 4106, 5: SPI and sequence number, whole. */
static bool gcm_authenticate(struct transform *t, uint64_t sequence, bool esn, const uint8_t *esp)
{
	uint8_t extended[ESP_HEADER + 4];
	int n;

	if (!esn) {
		return EVP_CipherUpdate(t->cipher, NULL, &n, esp, ESP_HEADER) == 1;
	}
	memcpy(extended, esp, 4);
	put64(extended + 4, sequence);
	return EVP_CipherUpdate(t->cipher, NULL, &n, extended, sizeof(extended)) == 1;
}

bool transform_seal(struct transform *t, uint64_t sequence, bool esn, uint8_t *esp, size_t length)
{
	uint8_t *iv = esp + ESP_HEADER, *text = iv + t->iv_length;
	/* RFC 4303, 2.8 */
	struct chunk covered = { esp, ESP_HEADER + t->iv_length + length };
	int n;

	if (!t->is_aead) {
		/* RFC 3602, 2.1: unpredictable. */
		return RAND_bytes(iv, AES_BLOCK) == 1 && EVP_CipherInit_ex2(t->cipher, NULL, NULL, iv, -1, NULL) == 1 &&
		       EVP_EncryptUpdate(t->cipher, text, &n, text, (int)length) == 1 &&
		       transform_icv(t, &covered, 1, sequence, esn, text + length);
	}
	/* RFC 4106, 3.1: never twice under one key, which the sequence number is not either. */
	put64(iv, sequence);
	return gcm_start(t, iv) && gcm_authenticate(t, sequence, esn, esp) &&
	       EVP_EncryptUpdate(t->cipher, text, &n, text, (int)length) == 1 &&
	       EVP_EncryptFinal_ex(t->cipher, text + length, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(t->cipher, EVP_CTRL_AEAD_GET_TAG, t->icv_length, text + length) == 1;
}

bool transform_open(struct transform *t, uint64_t sequence, bool esn, uint8_t *esp, size_t length)
{
	uint8_t *iv = esp + ESP_HEADER, *text = iv + t->iv_length;
	struct chunk covered = { esp, ESP_HEADER + t->iv_length + length };
	int n;

	if (!t->is_aead) {
		return transform_check_icv(t, &covered, 1, sequence, esn, text + length) &&
		       EVP_CipherInit_ex2(t->cipher, NULL, NULL, iv, -1, NULL) == 1 &&
		       EVP_DecryptUpdate(t->cipher, text, &n, text, (int)length) == 1;
	}
	return gcm_start(t, iv) &&
	       EVP_CIPHER_CTX_ctrl(t->cipher, EVP_CTRL_AEAD_SET_TAG, t->icv_length, text + length) == 1 &&
	       gcm_authenticate(t, sequence, esn, esp) &&
	       EVP_DecryptUpdate(t->cipher, text, &n, text, (int)length) == 1 &&
	       EVP_DecryptFinal_ex(t->cipher, text + length, &n) == 1;
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
