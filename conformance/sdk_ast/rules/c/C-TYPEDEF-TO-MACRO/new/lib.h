#define num unsigned char
