/** The key with which a load sends its events. It is read for each request, because it may change meanwhile. */
export interface LoadKey {
  readonly text: string
}

/** The headers that all requests of a run have in common; made once, and again only when the key has changed. */
export class CommonHeaders {
  readonly #host: string
  readonly #key: LoadKey | undefined
  #madeFor: string | undefined
  #text: string

  /** @param host host and port */
  constructor(host: string, key?: LoadKey) {
    this.#host = host
    this.#key = key
    this.#text = `Host: ${host}\r\n`
  }

  /** Lines of a request's head, each with its end. */
  get text(): string {
    const key = this.#key?.text
    if (key !== this.#madeFor) {
      this.#madeFor = key
      this.#text = `Host: ${this.#host}\r\nAuthorization: Bearer ${key}\r\n`
    }
    return this.#text
  }
}
