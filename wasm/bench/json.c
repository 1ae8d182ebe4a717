// JSON: n times, writes a document of 64 records, parses it into a tree, and prints the tree, which must give the same text.
#include "guest.h"

enum kind { NUMBER, STRING, ARRAY, OBJECT };

// A value. Children are a list; a member of an object has a key.
struct node {
  enum kind kind;
  int64_t number;
  const char *text, *key;
  int32_t length, key_length;
  struct node *child, *next;
};

static char document[16384], printed[16384];
static struct node nodes[2048];
static int32_t used;
static const char *in;
static char *out;

static void put(const char *s) { while (*s) *out++ = *s++; }

static void put_number(int64_t n) {
  char digits[24];
  int i = 0;
  if (n < 0) *out++ = '-', n = -n;
  do digits[i++] = (char)('0' + n % 10); while (n /= 10);
  while (i > 0) *out++ = digits[--i];
}

static void put_string(const char *s, int32_t length) {
  *out++ = '"';
  for (int32_t i = 0; i < length; i++) *out++ = s[i];
  *out++ = '"';
}

static void write_document(uint32_t *random) {
  out = document;
  put("[");
  for (int i = 0; i < 64; i++) {
    put(i ? ",{\"id\":" : "{\"id\":");
    put_number(i);
    put(",\"name\":\"");
    for (int j = 0; j < 12; j++) *out++ = (char)('a' + next_random(random) % 26);
    put("\",\"scores\":[");
    for (int j = 0; j < 5; j++) {
      if (j) put(",");
      put_number((int64_t)next_random(random) - 2147483648LL);
    }
    put("],\"at\":{\"x\":");
    put_number(next_random(random) % 1000);
    put("}}");
  }
  put("]");
  *out = 0;
}

static void string(const char **text, int32_t *length) {
  *text = ++in;
  while (*in != '"') in++;
  *length = (int32_t)(in++ - *text);
}

static struct node *parse(void) {
  struct node *node = &nodes[used++];
  node->child = node->next = 0;
  if (*in == '"') {
    node->kind = STRING;
    string(&node->text, &node->length);
  } else if (*in == '[' || *in == '{') {
    char close = *in == '[' ? ']' : '}';
    node->kind = *in++ == '[' ? ARRAY : OBJECT;
    for (struct node **tail = &node->child; *in != close; tail = &(*tail)->next) {
      const char *key = 0;
      int32_t length = 0;
      if (*in == ',') in++;
      if (node->kind == OBJECT) string(&key, &length), in++;
      *tail = parse();
      (*tail)->key = key;
      (*tail)->key_length = length;
    }
    in++;
  } else {
    int minus = *in == '-';
    in += minus;
    node->kind = NUMBER;
    node->number = 0;
    while (*in >= '0' && *in <= '9') node->number = node->number * 10 + (*in++ - '0');
    if (minus) node->number = -node->number;
  }
  return node;
}

static void print(const struct node *node) {
  if (node->kind == NUMBER) return put_number(node->number);
  if (node->kind == STRING) return put_string(node->text, node->length);
  put(node->kind == ARRAY ? "[" : "{");
  for (const struct node *child = node->child; child; child = child->next) {
    if (child != node->child) put(",");
    if (node->kind == OBJECT) put_string(child->key, child->key_length), put(":");
    print(child);
  }
  put(node->kind == ARRAY ? "]" : "}");
}

GUEST(int32_t n) {
  uint32_t random = 5;
  uint64_t sum = 0;
  for (int32_t i = 0; i < n; i++) {
    write_document(&random);
    used = 0;
    in = document;
    const struct node *tree = parse();
    out = printed;
    print(tree);
    *out = 0;
    for (int32_t j = 0; document[j] || printed[j]; j++) {
      if (document[j] != printed[j]) return -1;
      sum = mix(sum, (uint8_t)printed[j]);
    }
  }
  return (int64_t)sum;
}
