import { Kafka, logLevel } from 'kafkajs'

/**
 * Whether a broker on this machine is ready to create topics and accept records: its metadata lists a broker and a
 * controller.
 *
 * @returns false on any error, and if one of the requests takes longer than `limitMs`
 */
export async function kafkaAnswers(port: number, limitMs = 1_000): Promise<boolean> {
  const admin = new Kafka({
    clientId: 'firehose-probe',
    brokers: [`127.0.0.1:${port}`],
    connectionTimeout: limitMs,
    requestTimeout: limitMs,
    enforceRequestTimeout: true,
    retry: { retries: 0 },
    logLevel: logLevel.NOTHING,
  }).admin()
  try {
    await admin.connect()
    const { brokers, controller } = await admin.describeCluster()
    return brokers.length > 0 && controller !== null
  } catch {
    return false
  } finally {
    await admin.disconnect()
  }
}
