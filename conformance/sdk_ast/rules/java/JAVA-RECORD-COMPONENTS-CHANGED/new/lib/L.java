package lib;

public record L(int y, int z) {}
