package lib;

import java.util.*;
public final class L { public static List m() { return null; } }
