#include "esp.h"

#include "bytes.h"

#include <netinet/in.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#define GCM_SALT 4
#define GCM_IV 8
#define AES_BLOCK 16
#define OUTER_TTL 64
#define NEXT_HEADER_IPV4 4
#define NEXT_HEADER_NONE 59
#define SEQUENCE_END (UINT64_C(1) << 32)

static bool init_cipher(struct sa *sa, const EVP_CIPHER *algorithm)
{
	sa->cipher = EVP_CIPHER_CTX_new();
	return sa->cipher && EVP_CipherInit_ex2(sa->cipher, algorithm, sa->encryption_key, NULL, !sa->inbound, NULL) == 1;
}

static bool init_mac(struct sa *sa, const char *digest)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	sa->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	/* The context holds its own reference. */
	EVP_MAC_free(hmac);
	return sa->mac && EVP_MAC_init(sa->mac, sa->integrity_key, sa->integrity_key_length, params) == 1;
}

bool esp_init(struct sa *sa, uint32_t encryption, const uint8_t *encryption_key, size_t encryption_key_length,
	uint32_t integrity, const uint8_t *integrity_key, size_t integrity_key_length)
{
	size_t key_length = encryption_key_length;
	bool cbc = encryption == ENCR_AES_CBC;

	sa->aead = encryption == ENCR_AES_GCM_16;
	if (sa->aead) {
		if (integrity != 0 || integrity_key_length != 0 || key_length < GCM_SALT) {
			return false;
		}
		key_length -= GCM_SALT;
	} else if (!cbc || !((integrity == AUTH_HMAC_SHA2_256_128 && integrity_key_length == 32) ||
			     (integrity == AUTH_HMAC_SHA1_96 && integrity_key_length == 20))) {
		return false;
	}
	if (key_length != 16 && key_length != 32) {
		return false;
	}
	memcpy(sa->encryption_key, encryption_key, encryption_key_length);
	sa->encryption_key_length = (uint8_t)encryption_key_length;
	if (integrity_key_length > 0) {
		memcpy(sa->integrity_key, integrity_key, integrity_key_length);
	}
	sa->integrity_key_length = (uint8_t)integrity_key_length;
	if (sa->aead) {
		sa->iv_length = GCM_IV;
		sa->icv_length = 16;
		sa->align = 4;
		return init_cipher(sa, key_length == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm());
	}
	sa->iv_length = AES_BLOCK;
	sa->icv_length = integrity == AUTH_HMAC_SHA1_96 ? 12 : 16;
	sa->align = AES_BLOCK;
	return init_cipher(sa, key_length == 16 ? EVP_aes_128_cbc() : EVP_aes_256_cbc()) &&
	       EVP_CIPHER_CTX_set_padding(sa->cipher, 0) == 1 &&
	       init_mac(sa, integrity == AUTH_HMAC_SHA1_96 ? "SHA1" : "SHA256");
}

void esp_free(struct sa *sa)
{
	EVP_CIPHER_CTX_free(sa->cipher);
	EVP_MAC_CTX_free(sa->mac);
	replay_free(&sa->replay);
	free(sa->source_selectors.items);
	free(sa->destination_selectors.items);
	OPENSSL_cleanse(sa, sizeof(*sa));
}

static void raise_event(struct sa *sa, uint32_t event)
{
	if (!(sa->raised & event)) {
		sa->raised |= event;
		sa->pending |= event;
	}
}

static void count(struct sa *sa, size_t length, uint64_t now_ms)
{
	sa->counters.bytes += length;
	sa->counters.packets++;
	sa->counters.last_use_ms = now_ms;
	if (sa->soft.bytes != 0 && sa->counters.bytes >= sa->soft.bytes) {
		raise_event(sa, SA_SOFT_BYTES);
	}
	if (sa->soft.packets != 0 && sa->counters.packets >= sa->soft.packets) {
		raise_event(sa, SA_SOFT_PACKETS);
	}
	if (sa->hard.bytes != 0 && sa->counters.bytes >= sa->hard.bytes) {
		sa->exhausted = true;
		raise_event(sa, SA_HARD_BYTES);
	}
	if (sa->hard.packets != 0 && sa->counters.packets >= sa->hard.packets) {
		sa->exhausted = true;
		raise_event(sa, SA_HARD_PACKETS);
	}
}

void esp_delivered(struct sa *sa, size_t length, uint64_t now_ms)
{
	count(sa, length, now_ms);
}

/* ICV over SPI, sequence number, IV and ciphertext (RFC 4303, 2.8). */
static bool mac_compute(struct sa *sa, const uint8_t *esp, size_t length, uint8_t *digest)
{
	size_t written;

	return EVP_MAC_init(sa->mac, NULL, 0, NULL) == 1 && EVP_MAC_update(sa->mac, esp, length) == 1 &&
	       EVP_MAC_final(sa->mac, digest, &written, EVP_MAX_MD_SIZE) == 1;
}

static bool seal(struct sa *sa, uint8_t *esp, uint8_t *text, size_t length)
{
	uint8_t nonce[GCM_SALT + GCM_IV], digest[EVP_MAX_MD_SIZE], *iv = esp + ESP_HEADER;
	int n;

	if (!sa->aead) {
		/* RFC 3602, 2.1: unpredictable. */
		if (RAND_bytes(iv, AES_BLOCK) != 1 || EVP_CipherInit_ex2(sa->cipher, NULL, NULL, iv, -1, NULL) != 1 ||
		    EVP_EncryptUpdate(sa->cipher, text, &n, text, (int)length) != 1 ||
		    !mac_compute(sa, esp, ESP_HEADER + AES_BLOCK + length, digest)) {
			return false;
		}
		memcpy(text + length, digest, sa->icv_length);
		return true;
	}
	/* RFC 4106, 3.1: never twice under one key, which the sequence number is not either. */
	put64(iv, sa->next_sequence);
	memcpy(nonce, sa->encryption_key + sa->encryption_key_length - GCM_SALT, GCM_SALT);
	memcpy(nonce + GCM_SALT, iv, GCM_IV);
	return EVP_CipherInit_ex2(sa->cipher, NULL, NULL, nonce, -1, NULL) == 1 &&
	       EVP_EncryptUpdate(sa->cipher, NULL, &n, esp, ESP_HEADER) == 1 &&
	       EVP_EncryptUpdate(sa->cipher, text, &n, text, (int)length) == 1 &&
	       EVP_EncryptFinal_ex(sa->cipher, text + length, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(sa->cipher, EVP_CTRL_AEAD_GET_TAG, sa->icv_length, text + length) == 1;
}

static bool open_sealed(struct sa *sa, uint8_t *esp, uint8_t *text, size_t length)
{
	uint8_t nonce[GCM_SALT + GCM_IV], digest[EVP_MAX_MD_SIZE], *iv = esp + ESP_HEADER;
	int n;

	if (!sa->aead) {
		return mac_compute(sa, esp, (size_t)(text - esp) + length, digest) &&
		       CRYPTO_memcmp(digest, text + length, sa->icv_length) == 0 &&
		       EVP_CipherInit_ex2(sa->cipher, NULL, NULL, iv, -1, NULL) == 1 &&
		       EVP_DecryptUpdate(sa->cipher, text, &n, text, (int)length) == 1;
	}
	memcpy(nonce, sa->encryption_key + sa->encryption_key_length - GCM_SALT, GCM_SALT);
	memcpy(nonce + GCM_SALT, iv, GCM_IV);
	return EVP_CipherInit_ex2(sa->cipher, NULL, NULL, nonce, -1, NULL) == 1 &&
	       EVP_CIPHER_CTX_ctrl(sa->cipher, EVP_CTRL_AEAD_SET_TAG, sa->icv_length, text + length) == 1 &&
	       EVP_DecryptUpdate(sa->cipher, NULL, &n, esp, ESP_HEADER) == 1 &&
	       EVP_DecryptUpdate(sa->cipher, text, &n, text, (int)length) == 1 &&
	       EVP_DecryptFinal_ex(sa->cipher, text + length, &n) == 1;
}

/* The outer headers, before `esp`; `length` counts from there. */
static uint8_t *put_outer(const struct sa *sa, const uint8_t *inner, uint8_t *esp, size_t *length,
	uint16_t identification)
{
	uint8_t *ip = esp - IPV4_HEADER, *udp = esp - UDP_HEADER;

	if (sa->udp) {
		ip -= UDP_HEADER;
		put16(udp, sa->source_port);
		put16(udp + 2, sa->destination_port);
		put16(udp + 4, (uint16_t)(UDP_HEADER + *length));
		/* RFC 3948, 2.1 */
		put16(udp + 6, 0);
	}
	*length += (size_t)(esp - ip);
	ip[0] = 0x45;
	ip[1] = (sa->copy_dscp_out ? inner[1] & TOS_DSCP : 0) | (sa->copy_ecn ? inner[1] & TOS_ECN : 0);
	put16(ip + 2, (uint16_t)*length);
	put16(ip + 4, identification);
	put16(ip + 6, sa->copy_df ? get16(inner + 6) & IPV4_DF : 0);
	ip[8] = OUTER_TTL;
	ip[9] = sa->udp ? IPPROTO_UDP : IPPROTO_ESP;
	put16(ip + 10, 0);
	put32(ip + 12, sa->source);
	put32(ip + 16, sa->destination);
	return ip;
}

enum esp_result esp_encapsulate(struct sa *sa, uint8_t *inner, size_t length, uint16_t identification,
	uint64_t now_ms, struct esp_packet *outer)
{
	uint8_t *esp = inner - sa->iv_length - ESP_HEADER, *trailer = inner + length;
	size_t padding = (sa->align - (length + 2) % sa->align) % sa->align, text = length + padding + 2, i;

	if (sa->next_sequence >= SEQUENCE_END) {
		/* RFC 4303, 3.3.3: never wraps. */
		raise_event(sa, SA_SEQUENCE_OVERFLOW);
		return ESP_EXHAUSTED;
	}
	if (sa->exhausted) {
		return ESP_EXHAUSTED;
	}
	outer->length = ESP_HEADER + sa->iv_length + text + sa->icv_length;
	if (outer->length + IPV4_HEADER + UDP_HEADER > UINT16_MAX) {
		return ESP_MALFORMED;
	}
	/* Before the payload is encrypted: it reads the inner header. */
	outer->bytes = put_outer(sa, inner, esp, &outer->length, identification);
	put32(esp, sa->spi);
	put32(esp + 4, (uint32_t)sa->next_sequence);
	for (i = 1; i <= padding; i++) {
		*trailer++ = (uint8_t)i;
	}
	*trailer++ = (uint8_t)padding;
	*trailer = NEXT_HEADER_IPV4;
	if (!seal(sa, esp, inner, text)) {
		sa->next_sequence++;
		return ESP_INTEGRITY;
	}
	sa->next_sequence++;
	count(sa, length, now_ms);
	return ESP_OK;
}

/* Finds the inner packet in what was decrypted. */
static enum esp_result unwrap(struct sa *sa, uint8_t *text, size_t length, uint8_t outer_tos, struct esp_packet *inner)
{
	uint8_t padding = text[length - 2], next_header = text[length - 1], ecn, tos;
	size_t i, payload;

	if ((size_t)padding + 2 > length) {
		return ESP_MALFORMED;
	}
	payload = length - 2 - padding;
	for (i = 0; i < padding; i++) {
		if (text[payload + i] != i + 1) {
			return ESP_MALFORMED;
		}
	}
	if (next_header == NEXT_HEADER_NONE) {
		return ESP_DUMMY;
	}
	inner->bytes = text;
	/* What follows the packet is traffic flow confidentiality padding (RFC 4303, 2.7). */
	inner->length = next_header == NEXT_HEADER_IPV4 ? ipv4_length(text, payload) : 0;
	if (inner->length == 0) {
		return ESP_MALFORMED;
	}
	tos = text[1];
	if (sa->copy_dscp_in) {
		tos = (outer_tos & TOS_DSCP) | (tos & TOS_ECN);
	}
	if (sa->copy_ecn) {
		if (!ecn_decapsulate(tos & TOS_ECN, outer_tos & TOS_ECN, &ecn)) {
			return ESP_CONGESTION;
		}
		tos = (tos & TOS_DSCP) | ecn;
	}
	if (tos != text[1]) {
		ipv4_set_tos(text, tos);
	}
	return ESP_OK;
}

enum esp_result esp_decapsulate(struct sa *sa, uint8_t *esp, size_t length, uint8_t outer_tos,
	struct esp_packet *inner)
{
	size_t overhead = ESP_HEADER + (size_t)sa->iv_length + sa->icv_length, text;
	enum esp_result result;
	uint32_t sequence;

	if (sa->exhausted) {
		return ESP_EXHAUSTED;
	}
	if (length < overhead + 2 || (length - overhead) % sa->align != 0) {
		sa->counters.malformed_drops++;
		return ESP_MALFORMED;
	}
	text = length - overhead;
	sequence = get32(esp + 4);
	if (!replay_check(&sa->replay, sequence)) {
		sa->counters.replay_drops++;
		return ESP_REPLAYED;
	}
	if (!open_sealed(sa, esp, esp + ESP_HEADER + sa->iv_length, text)) {
		sa->counters.integrity_failures++;
		return ESP_INTEGRITY;
	}
	replay_accept(&sa->replay, sequence);
	result = unwrap(sa, esp + ESP_HEADER + sa->iv_length, text, outer_tos, inner);
	if (result == ESP_MALFORMED || result == ESP_CONGESTION) {
		sa->counters.malformed_drops++;
	}
	return result;
}

static bool selectors_match(const struct selectors *list, uint32_t address, uint16_t port, const struct flow_key *key)
{
	const struct selector *s;
	uint32_t i;

	for (i = 0; i < list->count; i++) {
		s = &list->items[i];
		if (address < s->first || address > s->last || (s->protocol != 0 && s->protocol != key->protocol)) {
			continue;
		}
		if (s->first_port == 0 && s->last_port == UINT16_MAX) {
			return true;
		}
		/* OPAQUE matches packets without ports, and only them. */
		if (s->first_port > s->last_port ? !key->has_ports
						 : key->has_ports && port >= s->first_port && port <= s->last_port) {
			return true;
		}
	}
	return false;
}

bool esp_selectors_match(const struct sa *sa, const struct flow_key *key)
{
	return selectors_match(&sa->source_selectors, key->source, key->source_port, key) &&
	       selectors_match(&sa->destination_selectors, key->destination, key->destination_port, key);
}
