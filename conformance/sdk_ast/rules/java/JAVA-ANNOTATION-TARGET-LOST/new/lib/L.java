package lib;

import java.lang.annotation.*;
@Target(ElementType.METHOD)
public @interface L {}
