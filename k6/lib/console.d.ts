/** k6 has a console, but its types do not declare it. */
declare const console: { info(text: string): void; warn(text: string): void }
