package lib;

public sealed interface L permits L.A { final class A implements L {} }
