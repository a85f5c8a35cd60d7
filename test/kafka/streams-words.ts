import { StreamsBuilder, type Topology } from 'millrace/streams'

/** The topics of one run, each with as many partitions as the others. */
export interface Topics {
  readonly lines: string
  readonly names: string
  readonly counts: string
  readonly greetings: string
  /** Made by the application. */
  readonly words: string
}
export function topicsOf(id: string): Topics {
  return {
    lines: `${id}-lines`,
    names: `${id}-names`,
    counts: `${id}-counts`,
    greetings: `${id}-greetings`,
    words: `${id}-words-repartition`,
  }
}

/** Word count, and lines joined with the names of who says them. */
export function words(id: string): Topology<Record<string, any>> {
  const { lines, names, counts, greetings } = topicsOf(id)
  const builder = new StreamsBuilder()
  const said = builder.stream(lines)
  said
    .flatMapValues(line => line.split(' ') as string[])
    .groupBy(word => word)
    .count({ store: 'words' })
    .toStream()
    .to(counts)
  said.leftJoin(builder.table(names), (line, name) => `${name}: ${line}`).to(greetings)
  return builder.build()
}
