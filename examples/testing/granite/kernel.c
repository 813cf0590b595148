/* Granite: a kernel of a course. It prints on the screen and to the serial port, and has a shell. */

#include <stdint.h>

#define COLUMNS 80
#define ROWS 25
#define SERIAL 0x3F8
#define EXIT_PORT 0xF4

static volatile uint16_t *const screen = (uint16_t *)0xB8000;
static unsigned place;

static void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void put(char c)
{
    outb(SERIAL, c);
    if (c == '\n')
        place += COLUMNS - place % COLUMNS;
    else if (c == '\b')
        screen[--place] = 0x0720;
    else
        screen[place++] = 0x0700 | (uint8_t)c;
    if (place < COLUMNS * ROWS)
        return;
    for (unsigned i = 0; i < COLUMNS * (ROWS - 1); i++)
        screen[i] = screen[i + COLUMNS];
    for (unsigned i = COLUMNS * (ROWS - 1); i < COLUMNS * ROWS; i++)
        screen[i] = 0x0720;
    place -= COLUMNS;
}

static void print(const char *text)
{
    while (*text)
        put(*text++);
}

static void print_number(unsigned n)
{
    if (n >= 10)
        print_number(n / 10);
    put('0' + n % 10);
}

static unsigned number(const char **text)
{
    unsigned n = 0;
    while (**text == ' ')
        (*text)++;
    while (**text >= '0' && **text <= '9')
        n = n * 10 + *(*text)++ - '0';
    return n;
}

static int begins(const char **text, const char *word)
{
    const char *at = *text;
    while (*word)
        if (*at++ != *word++)
            return 0;
    *text = at;
    return 1;
}

/* Scan codes of set 1, for keys that go down. */
static const char keys[] = "\0\0331234567890-=\b\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";

static char get(void)
{
    for (;;) {
        if (!(inb(0x64) & 1))
            continue;
        uint8_t code = inb(0x60);
        if (code < sizeof keys - 1 && keys[code])
            return keys[code];
    }
}

static void read_line(char *line, unsigned most)
{
    unsigned length = 0;
    for (;;) {
        char c = get();
        if (c == '\n')
            break;
        if (c == '\b' ? length == 0 : length == most - 1)
            continue;
        length += c == '\b' ? -1 : 1;
        if (c != '\b')
            line[length - 1] = c;
        put(c);
    }
    line[length] = 0;
    put('\n');
}

__attribute__((noinline)) void crash(void)
{
    __asm__ volatile("ud2");
}

__attribute__((noinline)) void run(const char *line)
{
    if (begins(&line, "sum")) {
        unsigned first = number(&line);
        print_number(first + number(&line));
        put('\n');
    } else if (begins(&line, "exit")) {
        outb(EXIT_PORT, number(&line));
    } else if (begins(&line, "crash")) {
        crash();
    } else if (*line) {
        print("no command: ");
        print(line);
        put('\n');
    }
}

void kmain(void)
{
    char line[COLUMNS];
    for (unsigned i = 0; i < COLUMNS * ROWS; i++)
        screen[i] = 0x0720;
    print("Granite, ");
    print_number(8 * sizeof(void *));
    print(" bits\n");
    for (;;) {
        print("$ ");
        read_line(line, sizeof line);
        run(line);
    }
}
