import { text } from './env.ts'

/** The directory in which `npm start` keeps its data and logs. */
export const dataDirSetting = text('.firehose', 'Directory for the data and logs of `npm start`')
