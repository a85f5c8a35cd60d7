// One measurement, in a process of its own: a Job as JSON in, a Report as JSON out.
import * as kafkajs from './clients/kafkajs.js'
import * as millrace from './clients/millrace.js'
import * as platformatic from './clients/platformatic.js'
import type { Job, Report } from './workload.js'

const clients: Record<Job['client'], Record<string, (job: Job) => Promise<Report>>> = {
  millrace: { ...millrace },
  platformatic: { ...platformatic },
  kafkajs: { ...kafkajs },
}
const job = JSON.parse(process.argv[2]!) as Job
const report = await clients[job.client][job.what]!(job)
console.log(JSON.stringify(report))
process.exit()
