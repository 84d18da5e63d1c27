/**
 * What the RFCs say of an ESP or AH proposal, written down here a second time on purpose: the figures the
 * wire is measured with must not come from the product.
 */
export type Algorithm = {
  /** strongSwan's proposal, without ESN. */
  readonly proposal: string;
  readonly protocol: 'esp' | 'ah';
  readonly encryption: Encryption | undefined;
  readonly integrity: Integrity | undefined;
};

export type Encryption = {
  /** IANA's transform id. */
  readonly id: number;
  /** As charon lists it. */
  readonly charonName: string;
  /** As the Linux kernel lists it, with the bits of its key, salt included. */
  readonly kernelName: string;
  readonly keyBits: number;
  readonly kernelKeyBits: number;
  readonly ivBytes: number;
  /** 0: an integrity algorithm goes with it. */
  readonly icvBytes: number;
  /** What the text and its trailer are padded to, beside 4. */
  readonly blockBytes: number;
  /** Whether the text can no longer be read. */
  readonly isConfidential: boolean;
};

export type Integrity = {
  readonly id: number;
  readonly charonName: string;
  readonly kernelName: string;
  readonly keyBits: number;
  readonly icvBytes: number;
};

const KEY_BITS = [128, 192, 256] as const;

/** RFC 2403, 2404, 3566, 4494 and 4868. */
const INTEGRITY = {
  sha1: mac(2, 'HMAC_SHA1_96', 'hmac(sha1)', 160, 12),
  sha256: mac(12, 'HMAC_SHA2_256_128', 'hmac(sha256)', 256, 16),
  sha384: mac(13, 'HMAC_SHA2_384_192', 'hmac(sha384)', 384, 24),
  sha512: mac(14, 'HMAC_SHA2_512_256', 'hmac(sha512)', 512, 32),
  aesxcbc: mac(5, 'AES_XCBC_96', 'xcbc(aes)', 128, 12),
  aescmac: mac(8, 'AES_CMAC_96', 'cmac(aes)', 128, 12),
} as const;

/** RFC 4543, in AH. */
const GMAC_INTEGRITY: readonly (readonly [string, Integrity])[] = KEY_BITS.map((bits, index) => [
  `aes${bits}gmac`,
  mac(9 + index, `AES_${bits}_GMAC`, 'none', bits, 16),
]);

function mac(
  id: number,
  charonName: string,
  kernelName: string,
  keyBits: number,
  icvBytes: number,
): Integrity {
  return { id, charonName, kernelName, keyBits, icvBytes };
}

/** RFC 4106, 4309, 4543 and 7634: algorithms that come with their own ICV. */
function combined(): readonly Algorithm[] {
  const gcm = { ivBytes: 8, blockBytes: 1, kernelName: 'rfc4106(gcm(aes))', isConfidential: true };
  const ccm = { ...gcm, kernelName: 'rfc4309(ccm(aes))' };
  const rows: (readonly [string, Encryption])[] = [];
  for (const [index, icvBytes] of [8, 12, 16].entries()) {
    for (const keyBits of KEY_BITS) {
      rows.push(
        [
          `aes${keyBits}gcm${icvBytes}`,
          {
            ...gcm,
            id: 18 + index,
            charonName: `AES_GCM_${icvBytes}`,
            keyBits,
            kernelKeyBits: keyBits + 32,
            icvBytes,
          },
        ],
        [
          `aes${keyBits}ccm${icvBytes}`,
          {
            ...ccm,
            id: 14 + index,
            charonName: `AES_CCM_${icvBytes}`,
            keyBits,
            kernelKeyBits: keyBits + 24,
            icvBytes,
          },
        ],
      );
    }
  }
  for (const keyBits of KEY_BITS) {
    const gmac = { ...gcm, id: 21, charonName: 'NULL_AES_GMAC', kernelName: 'rfc4543(gcm(aes))' };
    rows.push([
      `aes${keyBits}gmac`,
      { ...gmac, keyBits, kernelKeyBits: keyBits + 32, icvBytes: 16, isConfidential: false },
    ]);
  }
  rows.push([
    'chacha20poly1305',
    {
      ...gcm,
      ...{ id: 28, charonName: 'CHACHA20_POLY1305', kernelName: 'rfc7539esp(chacha20,poly1305)' },
      ...{ keyBits: 256, kernelKeyBits: 288, icvBytes: 16 },
    },
  ]);
  return rows.map(([proposal, encryption]) => ({
    proposal,
    ...{ protocol: 'esp', encryption, integrity: undefined },
  }));
}

/** RFC 2410, 2451, 3602 and 3686: each with each integrity algorithm. */
function separate(): readonly Algorithm[] {
  const common = { icvBytes: 0, isConfidential: true };
  const ciphers: (readonly [string, Encryption])[] = KEY_BITS.flatMap((keyBits) => [
    [
      `aes${keyBits}`,
      {
        ...common,
        ...{ id: 12, charonName: 'AES_CBC', kernelName: 'cbc(aes)' },
        ...{ keyBits, kernelKeyBits: keyBits, ivBytes: 16, blockBytes: 16 },
      },
    ],
    [
      `aes${keyBits}ctr`,
      {
        ...common,
        ...{ id: 13, charonName: 'AES_CTR', kernelName: 'rfc3686(ctr(aes))' },
        ...{ keyBits, kernelKeyBits: keyBits + 32, ivBytes: 8, blockBytes: 1 },
      },
    ],
  ]);
  ciphers.push(
    [
      '3des',
      {
        ...common,
        ...{ id: 3, charonName: '3DES_CBC', kernelName: 'cbc(des3_ede)' },
        ...{ keyBits: 192, kernelKeyBits: 192, ivBytes: 8, blockBytes: 8 },
      },
    ],
    [
      'null',
      {
        ...{ id: 11, charonName: 'NULL', kernelName: 'ecb(cipher_null)' },
        ...{ keyBits: 0, kernelKeyBits: 0, ivBytes: 0, icvBytes: 0, blockBytes: 1, isConfidential: false },
      },
    ],
  );
  return ciphers.flatMap(([cipher, encryption]) =>
    Object.entries(INTEGRITY).map(([name, integrity]) => ({
      proposal: `${cipher}-${name}`,
      ...{ protocol: 'esp', encryption, integrity },
    })),
  );
}

function authentication(): readonly Algorithm[] {
  return [...Object.entries(INTEGRITY), ...GMAC_INTEGRITY].map(([proposal, integrity]) => ({
    proposal,
    ...{ protocol: 'ah', encryption: undefined, integrity },
  }));
}

/** Every proposal of the matrix. */
export const ALGORITHMS: readonly Algorithm[] = [...combined(), ...separate(), ...authentication()];

/** The ICV of a packet. */
export function icvBytes({ encryption, integrity }: Algorithm): number {
  return integrity?.icvBytes ?? encryption?.icvBytes ?? 0;
}
