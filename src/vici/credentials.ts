import type { CredentialData } from './configuration.ts';
import { type ControlOutcome, parseControlOutcome } from './control.ts';
import { FieldReader } from './field-reader.ts';
import type { ViciSection } from './section.ts';

/** charon's kinds of certificates. */
export type CertificateType = 'X509' | 'X509_AC' | 'X509_CRL' | 'OCSP_RESPONSE' | 'PUBKEY';

/** What an X.509 certificate is for. */
export type CertificateFlag = 'NONE' | 'CA' | 'AA' | 'OCSP';

/** What `load-cert` takes. A certificate with the CA flag has to be one. */
export type CertificateToLoad = {
  readonly type: 'X509' | 'X509_AC' | 'X509_CRL';
  readonly flag?: CertificateFlag | undefined;
  readonly data: CredentialData;
};

export type PrivateKeyToLoad = {
  readonly type: 'rsa' | 'ecdsa' | 'ed25519' | 'ed448' | 'any';
  /** Without a passphrase: charon does not ask for one here. */
  readonly data: CredentialData;
};

/** A private key on a PKCS#11 token. */
export type TokenToLoad = {
  /** CKA_ID, hexadecimal. */
  readonly handle: string;
  readonly slot?: number | undefined;
  readonly module?: string | undefined;
  readonly pin?: string | undefined;
};

export type SharedKeyToLoad = {
  /** What `unload-shared` names it by. */
  readonly id?: string | undefined;
  readonly type: 'IKE' | 'EAP' | 'XAUTH' | 'NTLM' | 'PPK';
  readonly data: CredentialData;
  /** Identities; without any it is everybody's. */
  readonly owners?: readonly string[] | undefined;
};

/** `keyId` is the SHA-1 of the public key, hexadecimal. */
export type KeyOutcome =
  | { readonly kind: 'done'; readonly keyId: string }
  | Extract<ControlOutcome, { kind: 'failed' }>;

/** A certificate that charon knows, from wherever it came. */
export type ListedCertificate = {
  readonly type: CertificateType | (string & Record<never, never>);
  /** Of an X509 one. */
  readonly flag: CertificateFlag | (string & Record<never, never>) | undefined;
  readonly hasPrivateKey: boolean;
  /** DER. */
  readonly data: Uint8Array;
  /** These three of a PUBKEY only: the others have them inside. */
  readonly subject: string | undefined;
  readonly notBefore: string | undefined;
  readonly notAfter: string | undefined;
};

export function parseKeyOutcome(reply: ViciSection, command: string): KeyOutcome {
  const outcome = parseControlOutcome(reply);
  if (outcome.kind === 'failed') return outcome;
  return { kind: 'done', keyId: new FieldReader(reply, command).text('id') };
}

export function parseCertificate(message: ViciSection): ListedCertificate {
  const fields = new FieldReader(message, 'list-cert');
  return {
    type: fields.text('type'),
    flag: fields.optionalText('flag'),
    hasPrivateKey: fields.flag('has_privkey'),
    // A copy: a view would keep all that was read with it.
    data: Uint8Array.from(fields.bytes('data')),
    subject: fields.optionalText('subject'),
    notBefore: fields.optionalText('not-before'),
    notAfter: fields.optionalText('not-after'),
  };
}
