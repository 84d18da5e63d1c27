#include "transform-internal.h"

#include <string.h>

static bool is_ccm(const struct transform *t)
{
	return t->encryption->kind == CIPHER_CCM;
}

bool aead_init(struct transform *t, bool inbound, size_t key_length)
{
	const struct cipher_algorithm *algorithm = t->encryption;

	t->cipher = new_cipher(algorithm->name, t->encryption_key, key_length, !inbound);
	if (!t->cipher) {
		return false;
	}
	memcpy(t->nonce, t->encryption_key + key_length, algorithm->salt_length);
	/* Length of the nonce, which says that of CCM's length field (RFC 4309, 2: 4), and of the ICV. */
	return EVP_CIPHER_CTX_ctrl(t->cipher, EVP_CTRL_AEAD_SET_IVLEN, algorithm->salt_length + COUNTER_IV, NULL) == 1 &&
	       (!is_ccm(t) ||
		       EVP_CIPHER_CTX_ctrl(t->cipher, EVP_CTRL_AEAD_SET_TAG, algorithm->icv_length, NULL) == 1) &&
	       EVP_CipherInit_ex2(t->cipher, NULL, t->encryption_key, NULL, -1, NULL) == 1;
}

static bool set_nonce(struct transform *t, const uint8_t *iv)
{
	memcpy(t->nonce + t->encryption->salt_length, iv, COUNTER_IV);
	return EVP_CipherInit_ex2(t->cipher, NULL, NULL, t->nonce, -1, NULL) == 1;
}

/*
 * What comes before the text; CCM wants to know the text's length first. It verifies with the text, so that
 * without any nothing would be verified: ESP always has some.
 */
static bool begin(struct transform *t, const struct chunk *aad, size_t count, size_t length)
{
	size_t i;
	int n;

	if (is_ccm(t) && (length == 0 || EVP_CipherUpdate(t->cipher, NULL, &n, NULL, (int)length) != 1)) {
		return false;
	}
	for (i = 0; i < count; i++) {
		if (EVP_CipherUpdate(t->cipher, NULL, &n, aad[i].bytes, (int)aad[i].length) != 1) {
			return false;
		}
	}
	return true;
}

bool aead_encrypt(struct transform *t, const uint8_t *iv, const struct chunk *aad, size_t count, uint8_t *text,
	size_t length, uint8_t *icv)
{
	int n;

	return set_nonce(t, iv) && begin(t, aad, count, length) &&
	       (length == 0 || EVP_CipherUpdate(t->cipher, text, &n, text, (int)length) == 1) &&
	       (is_ccm(t) || EVP_CipherFinal_ex(t->cipher, text + length, &n) == 1) &&
	       EVP_CIPHER_CTX_ctrl(t->cipher, EVP_CTRL_AEAD_GET_TAG, t->icv_length, icv) == 1;
}

bool aead_decrypt(struct transform *t, const uint8_t *iv, const struct chunk *aad, size_t count, uint8_t *text,
	size_t length, const uint8_t *icv)
{
	int n;

	return set_nonce(t, iv) &&
	       EVP_CIPHER_CTX_ctrl(t->cipher, EVP_CTRL_AEAD_SET_TAG, t->icv_length, (void *)icv) == 1 &&
	       begin(t, aad, count, length) &&
	       (length == 0 || EVP_CipherUpdate(t->cipher, text, &n, text, (int)length) == 1) &&
	       (is_ccm(t) || EVP_CipherFinal_ex(t->cipher, text + length, &n) == 1);
}
