import { nameAndValue, splitUnquoted } from './quoted-list.ts'

export interface ContentType {
  /** The media type in lowercase, without parameters. */
  type: string
  /** Whether the charset is UTF-8, also by default, or US-ASCII, which is a part of it. */
  isUtf8: boolean
}

const UTF8_CHARSETS = ['utf-8', 'utf8', 'us-ascii']
const JSON_TYPE = /^[^/]+\/(?:[^/]+\+)?json$/

/** Reads a media type with its parameters (RFC 9110, 8.3.1). */
export function contentTypeOf(text: string): ContentType {
  const [type = '', ...parameters] = splitUnquoted(text, ';')
  const charset = parameters.map(nameAndValue).find(([name]) => name === 'charset')
  return {
    type: type.trim().toLowerCase(),
    isUtf8: charset === undefined || UTF8_CHARSETS.includes(charset[1].toLowerCase()),
  }
}

/** Whether text of the content type is JSON in UTF-8: its subtype is `json`, or ends with `+json`. */
export function isJson({ type, isUtf8 }: ContentType): boolean {
  return isUtf8 && JSON_TYPE.test(type)
}
