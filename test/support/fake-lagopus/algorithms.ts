export type Encryption = 'null' | 'aes-128-cbc' | 'aes-256-cbc' | 'aes-128-ctr' | '3des-cbc' | 'aes-128-gcm';
export type Integrity = 'null' | 'hmac-sha1-96' | 'hmac-sha2-256-128';

/** Key bytes; AEAD with its salt. */
export const ENCRYPTION_KEY_BYTES: Readonly<Record<Encryption, number>> = {
  null: 0,
  'aes-128-cbc': 16,
  'aes-256-cbc': 32,
  'aes-128-ctr': 20,
  '3des-cbc': 24,
  'aes-128-gcm': 20,
};

export const INTEGRITY_KEY_BYTES: Readonly<Record<Integrity, number>> = {
  null: 0,
  'hmac-sha1-96': 20,
  'hmac-sha2-256-128': 32,
};
