import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

export const ISSUER = 'https://login.example.com/'
export const AUDIENCE = 'events'

/** Signs tokens, as an issuer does. */
export class Signer {
  readonly algorithm: string
  readonly kid: string | undefined
  /** Its public key. */
  readonly jwk: JWK
  readonly privateKey: CryptoKey

  private constructor(algorithm: string, kid: string | undefined, jwk: JWK, privateKey: CryptoKey) {
    this.algorithm = algorithm
    this.kid = kid
    this.jwk = jwk
    this.privateKey = privateKey
  }

  /** @param algorithm the fastest one by default */
  static async make(kid?: string, algorithm = 'ES256'): Promise<Signer> {
    const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true })
    const jwk = await exportJWK(publicKey)
    return new Signer(algorithm, kid, kid === undefined ? jwk : { ...jwk, kid }, privateKey)
  }

  /** A token with just these claims. */
  async sign(claims: Record<string, unknown>, header: Record<string, unknown> = {}): Promise<string> {
    const kid = this.kid === undefined ? {} : { kid: this.kid }
    return new SignJWT(claims)
      .setProtectedHeader({ alg: this.algorithm, ...kid, ...header })
      .sign(this.privateKey)
  }

  /** A token that is valid for 10 minutes from `nowMs`, apart from the changes; one that is undefined removes a claim. */
  async token(nowMs: number, changes: Record<string, unknown> = {}): Promise<string> {
    const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'user-1', exp: nowMs / 1_000 + 600, ...changes }
    const given = Object.entries(claims).filter(([, value]) => value !== undefined)
    return this.sign(Object.fromEntries(given))
  }
}
