// The orders in which Java's collections hand out what is in them, where Kafka's output shows them.

/** Java: String.hashCode. */
function hashOf(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash
}

/** As java.util.HashMap, filled one by one, iterates over its keys: by bucket, in a bucket as they came. */
export function hashOrder<T>(items: Iterable<T>, keyOf: (item: T) => string): T[] {
  const all = [...items]
  let buckets = 16
  while (all.length > buckets * 0.75) buckets *= 2
  const bucketOf = (item: T): number => {
    const hash = hashOf(keyOf(item))
    return (hash ^ (hash >>> 16)) & (buckets - 1)
  }
  return all
    .map(item => ({ item, bucket: bucketOf(item) }))
    .sort((one, other) => one.bucket - other.bucket)
    .map(({ item }) => item)
}

interface TreeNode<T> {
  readonly item: T
  parent: TreeNode<T> | undefined
  left: TreeNode<T> | undefined
  right: TreeNode<T> | undefined
  red: boolean
}

/**
 * java.util.TreeSet, to which things are only added: a red-black tree. What it compares by may change afterwards (Kafka
 * sorts by sizes that it still counts), so the shape of the tree shows in the order.
 */
export class JavaTreeSet<T> {
  readonly #compare: (one: T, other: T) => number
  #root: TreeNode<T> | undefined

  constructor(compare: (one: T, other: T) => number) {
    this.#compare = compare
  }

  add(item: T): void {
    let parent: TreeNode<T> | undefined
    let order = 0
    for (let at = this.#root; at !== undefined; at = order < 0 ? at.left : at.right) {
      parent = at
      order = this.#compare(item, at.item)
      if (order === 0) return
    }
    const node: TreeNode<T> = { item, parent, left: undefined, right: undefined, red: true }
    if (parent === undefined) this.#root = node
    else if (order < 0) parent.left = node
    else parent.right = node
    this.#balance(node)
  }

  *[Symbol.iterator](): IterableIterator<T> {
    yield* inOrder(this.#root)
  }

  /** Cormen et al., as TreeMap.fixAfterInsertion. */
  #balance(added: TreeNode<T>): void {
    let node = added
    while (node.parent?.red === true) {
      const grand: TreeNode<T> = node.parent.parent!
      const [near, far] = node.parent === grand.left ? (['left', 'right'] as const) : (['right', 'left'] as const)
      const uncle = grand[far]
      if (uncle?.red === true) {
        node.parent.red = false
        uncle.red = false
        grand.red = true
        node = grand
        continue
      }
      if (node === node.parent[far]) {
        node = node.parent
        this.#rotate(node, near, far)
      }
      node.parent!.red = false
      grand.red = true
      this.#rotate(grand, far, near)
    }
    this.#root!.red = false
  }

  /** Towards a side: the child of the other side takes the node's place. */
  #rotate(node: TreeNode<T>, towards: 'left' | 'right', from: 'left' | 'right'): void {
    const up = node[from]!
    node[from] = up[towards]
    if (up[towards] !== undefined) up[towards].parent = node
    up.parent = node.parent
    if (node.parent === undefined) this.#root = up
    else if (node.parent.left === node) node.parent.left = up
    else node.parent.right = up
    up[towards] = node
    node.parent = up
  }
}

function* inOrder<T>(node: TreeNode<T> | undefined): IterableIterator<T> {
  if (node === undefined) return
  yield* inOrder(node.left)
  yield node.item
  yield* inOrder(node.right)
}
