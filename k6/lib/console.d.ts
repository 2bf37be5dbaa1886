/** k6 has one; its types do not say so. */
declare const console: { info(text: string): void; warn(text: string): void }
