import { MillraceError } from '../../index.js'

/** Kafka: Topic.LEGAL_CHARS; names end up in those of topics. */
const legalName = /^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/

/** Kafka: Named.validate. */
export function checkName(option: string, name: unknown): asserts name is string {
  if (typeof name !== 'string' || !legalName.test(name))
    throw new MillraceError('INVALID_CONFIG', {
      option,
      value: name,
      expected: 'a name: 1 to 249 of a-z, A-Z, 0-9, ".", "_" and "-", and not "." or ".."',
    })
}

/** As the broker names topics. */
export function checkTopic(topic: unknown): asserts topic is string {
  if (typeof topic !== 'string' || !legalName.test(topic))
    throw new MillraceError('INVALID_TOPIC_EXCEPTION', { topic: topic as string })
}

/**
 * Gives nodes and stores the names that Kafka gives them, from one counter for both; Kafka's tools and ported tests
 * depend on its numbers. Kafka: InternalStreamsBuilder, NamedInternal.
 */
export class Naming {
  #next = 0

  /** KSTREAM-FILTER-0000000002 */
  node(prefix: string): string {
    return prefix + this.#number()
  }
  /** KSTREAM-AGGREGATE-STATE-STORE-0000000002 */
  store(prefix: string): string {
    return `${prefix}STATE-STORE-${this.#number()}`
  }
  /** The given name; a number is used up all the same, so that naming a node renames no other. */
  nodeOr(name: string | undefined, prefix: string): string {
    const generated = this.node(prefix)
    return name ?? generated
  }
  /** The given name with a suffix, or a generated one; uses up a number as nodeOr() does. */
  suffixedOr(name: string | undefined, suffix: string, prefix: string): string {
    const generated = this.node(prefix)
    return name === undefined ? generated : name + suffix
  }
  #number(): string {
    return String(this.#next++).padStart(10, '0')
  }
}
