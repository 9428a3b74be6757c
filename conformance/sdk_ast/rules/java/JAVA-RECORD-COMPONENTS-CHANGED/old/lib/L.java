package lib;

public record L(int x, int y) {}
