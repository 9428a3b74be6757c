package lib;

public class L {}
