"""C, C++, Objective-C and assembler: each translation unit is compiled for x86-64 and for each platform, and compared."""
