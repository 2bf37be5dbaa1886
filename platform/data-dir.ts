import { text } from './env.ts'

/** Where `npm start` keeps what it makes. */
export const dataDirSetting = text('.firehose', 'Directory for the data and logs of `npm start`')
